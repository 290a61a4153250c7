package reconcile_test

import (
	"strings"
	"testing"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/nomad/nomadtest"
)

// A job that Nomad refuses is held by itself: others go on.
func TestRefusedByNomad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, policy, want string }{
		{"the file", sudoPolicy, "Nomad refuses the job of jobs/web.hcl"},
		{"the fix", "policy \"env\" {\n fix = true\n env {\n values = { LOG_LEVEL = \"debug\" }\n }\n}\n", "Nomad refuses the live job with its fixes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.policy)
			w.edit(`"-E", `, "")
			w.run()
			w.edit(`kill_timeout = "1s"`, `kill_timeout = "2s"`) // what is alike is not asked for
			w.server.Fault(nomadtest.Fault{Path: "/v1/job/web/plan", Status: 500, Text: "1 error occurred:\n\t* job priority must be between [1, 100]"})
			p := w.plan()
			if p.Condition != reconcile.Held || !strings.Contains(p.Reason, c.want) || !strings.Contains(p.Reason, "job priority must be") || p.Does() {
				t.Errorf("%s: %s", p.Condition, p.Reason)
			}
		})
	}
}

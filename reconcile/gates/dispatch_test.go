package gates

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

func TestDecodeDispatchMistakes(t *testing.T) {
	t.Parallel()
	checkMistakes(t, "dispatch", map[string]string{
		``:                    "",
		`meta = { A = null }`: `1:8 Null in a map: meta["A"] must be a string.`,
		`payload = ["a"]`:     `1:11 Wrong type: payload must be a string, not a list.`,
		`within = "-1s"`:      `1:10 Bad duration: "-1s" is not a duration such as "15s" or "1m".`,
		`force = true`:        `1:1 Unsupported argument: An argument named "force" is not expected here.`,
	})
}

// batch is a job that is launched, and runs a script then.
func batch(name, script string) *api.Job {
	j := sleepers(name, 0)
	j.Type = new("batch")
	g := j.TaskGroups[0]
	g.Tasks[0].Config = map[string]any{"command": "/bin/sh", "args": []any{"-c", script}}
	g.RestartPolicy = &api.RestartPolicy{Attempts: new(0), Mode: new("fail")}
	g.ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)}
	return j
}

func parameterized(name, script string) *api.Job {
	j := batch(name, script)
	j.ParameterizedJob = &api.ParameterizedJobConfig{MetaRequired: []string{"WHAT"}}
	return j
}

func periodic(name, script string) *api.Job {
	j := batch(name, script)
	j.Periodic = &api.PeriodicConfig{Spec: new("0 0 1 1 *")}
	return j
}

func TestDispatchGate(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	const meta = `meta = { WHAT = "good" }`
	child := regexp.MustCompile(`/(dispatch|periodic)-[-0-9a-f]+|allocation [0-9a-f]{8}`)
	for name, tt := range map[string]struct {
		job       *api.Job
		src, want string
	}{
		"dispatched":       {parameterized("a", `test "$NOMAD_META_WHAT" = good`), meta, "passed: a# completed"},
		"dispatched badly": {parameterized("b", "echo 'no database' >&2; exit 3"), meta, "failed: b#: # is failed; task main: Exit Code: 3: no database"},
		"refused":          {parameterized("c", "true"), "", "failed: dispatching job c: refused with status 500: Dispatch did not provide required meta keys: [WHAT]"},
		"too slow":         {parameterized("d", "sleep 600"), meta + "\nwithin = \"300ms\"", "failed: not within 300ms: d# is running, and goes on"},
		"forced":           {periodic("e", "true"), "", "passed: e# completed"},
		"forced badly":     {periodic("f", "exit 1"), "", "failed: f#: # is failed; task main: Exit Code: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := gate(t, "dispatch", "n", tt.src)
			if got := checkJob(g, tt.job); got != "" {
				t.Error(got)
			}
			if got := child.ReplaceAllString(verdictOf(Run(t.Context(), c, c.run(tt.job), g)), "#"); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestDispatchCheckJob(t *testing.T) {
	t.Parallel()
	if got := checkJob(gate(t, "dispatch", "n", ""), sleepers("web", 0)); got != "gate.hcl:1,1-1: Not to be launched; The job is neither parameterized nor periodic: Nomad runs it by itself. Remove the gate." {
		t.Error(got)
	}
	if got := checkJob(gate(t, "dispatch", "n", `payload = "x"`), periodic("p", "true")); got != "gate.hcl:1,1-1: Not parameterized; A periodic job takes neither meta nor payload. Remove them." {
		t.Error(got)
	}
	if got := gate(t, "dispatch", "n", "").Spec.(*dispatchGate).String(); got != "the job is launched once and completes with exit code 0, within 5m0s" {
		t.Error(got)
	}
}

// TestDispatchGateEnds: Nomad may be away while it waits, but not when it launches;
// and an end of the run ends the wait at once.
func TestDispatchGateEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	change := c.run(periodic("p", "true"))
	c.server.Fault(nomadtest.Fault{Method: "GET", Path: "/v1/job/p%2F*", Status: 503, Text: "restarting", Times: 1})
	if r := Run(t.Context(), c, change, gate(t, "dispatch", "n", "")); !r.Passed {
		t.Errorf("Nomad came back: %s", r.Detail)
	}
	away := Change{Job: periodic("p", "true")}
	if r := Run(t.Context(), &fake{fault: nomad.ErrUnreachable}, away, gate(t, "dispatch", "n", "")); r.Passed || r.Detail != "no answer from Nomad" {
		t.Errorf("%+v", r)
	}
	slow := c.run(periodic("slow", "sleep 600"))
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(&stopError{"gate http a failed"}) })
	start := time.Now()
	r := Run(ctx, c, slow, gate(t, "dispatch", "n", ""))
	if r.Passed || !strings.HasPrefix(r.Detail, "gate http a failed; until then: slow/periodic-") || !strings.HasSuffix(r.Detail, "is running, and goes on") || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: %s", time.Since(start), r.Detail)
	}
}

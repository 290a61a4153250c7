package gates

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/nomad/nomadtest"
)

func TestDecodeServiceMistakes(t *testing.T) {
	t.Parallel()
	checkMistakes(t, "service", map[string]string{
		``:                  "",
		`instances = 0`:     `1:13 Bad number: instances must be a whole number above zero.`,
		`instances = 1.5`:   `1:13 Bad number: instances must be a whole number above zero.`,
		`instances = "few"`: `1:13 Wrong type: instances must be a number, not a string.`,
		`name = "x"`:        `1:1 Unsupported argument: An argument named "name" is not expected here.`,
	})
}

// served is a job whose groups have a service at their port, with a check.
func served(ports ...int) *api.Job {
	j := sleepers("web", ports...)
	for _, g := range j.TaskGroups {
		g.Services = []*api.Service{{Name: "web", Provider: "nomad", PortLabel: "http", Checks: []api.ServiceCheck{
			{Name: "alive", Type: "http", Path: "/sick", Interval: time.Second, Timeout: time.Second},
		}}}
	}
	return j
}

func TestServiceGate(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), site(t)
	j := served(portOf(t, s), portOf(t, s), 0)
	j.TaskGroups[0].Services[0].Checks[0].Path = "/ok"
	j.TaskGroups[1].Services[0].Checks = nil
	j.TaskGroups[2].Services = nil
	change := c.run(j)
	sick := served(portOf(t, s))
	sick.ID, sick.TaskGroups[0].Services[0].Name = new("sick"), "sick"
	other := c.run(sick)
	const soon = "within = \"1s\"\ninterval = \"10ms\"\n"
	allocs, err := Fresh(t.Context(), c, other)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, src string
		change    Change
		want      string
	}{
		{"web", soon, change, "passed: service web is registered for 2 of 2 allocations, checks passing: 1"},
		{"n", soon + `service = "web"`, change, "passed: service web is registered for 2 of 2 allocations, checks passing: 1"},
		{"web", soon + "instances = 3", change, "failed: not within 1s: service web is registered for 2 of 3 allocations"},
		{"web", soon + "checks = false", change, "passed: service web is registered for 2 of 2 allocations"},
		{"web", soon, other, "failed: not within 1s: service web is registered for 0 of 1 allocations"},
		{"sick", soon, other, `failed: not within 1s: service sick is registered for 1 of 1 allocations, and check "alive" in allocation ALLOC is failure: { "error": "no database", "password": (redacted) }`},
		{"sick", soon + "checks = false", other, "passed: service sick is registered for 1 of 1 allocations"},
	} {
		if got := verdictOf(Run(t.Context(), c, tt.change, gate(t, "service", tt.name, tt.src)), short(allocs[0].ID), "ALLOC"); got != tt.want {
			t.Errorf("\n got %s\nwant %s", got, tt.want)
		}
	}
}

func TestServiceCheckJob(t *testing.T) {
	t.Parallel()
	j := served(80)
	if got := checkJob(gate(t, "service", "web", ""), j); got != "" {
		t.Error(got)
	}
	if got := checkJob(gate(t, "service", "n", `service = "wbe"`), j); got != `gate.hcl:1,11-16: No such service; The job has no service "wbe"; its services: web.` {
		t.Error(got)
	}
	j.TaskGroups[0].Services[0].Provider = "consul"
	if got := checkJob(gate(t, "service", "web", ""), j); got != `gate.hcl:1,1-1: Not a service of Nomad; Service "web" is registered with Consul: the gate knows those with provider = "nomad".` {
		t.Error(got)
	}
	j.TaskGroups[0].Services[0].Name = "${JOB}-web"
	if got := checkJob(gate(t, "service", "web", ""), j); got != "" {
		t.Error(got)
	}
	if got := gate(t, "service", "web", "instances = 2").Spec.(*serviceGate).String(); got != "service web of 2 allocations, its checks pass, within 30s" {
		t.Error(got)
	}
}

func TestServiceGateEnds(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	change := c.run(served(1))
	c.server.Fault(nomadtest.Fault{Path: "/v1/service/web", Status: 503, Text: "restarting", Times: 2})
	if r := Run(t.Context(), c, change, gate(t, "service", "web", "checks = false\ninterval = \"1ms\"")); !r.Passed {
		t.Errorf("Nomad came back: %s", r.Detail)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	start := time.Now()
	r := Run(ctx, c, change, gate(t, "service", "web", "interval = \"1h\"\nwithin = \"1h\""))
	if r.Passed || !strings.HasPrefix(r.Detail, "interrupted; until then: service web is registered for 1 of 1 allocations, and check") || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: %s", time.Since(start), r.Detail)
	}
}

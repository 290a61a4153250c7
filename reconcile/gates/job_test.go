package gates

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad/nomadtest"
)

func TestDecodeJobMistakes(t *testing.T) {
	t.Parallel()
	checkMistakes(t, "job", map[string]string{
		``:                                  "",
		`status = "runing"`:                 `1:10 Unknown value: status is one of running, pending, dead, not "runing".`,
		`state = "running"`:                 `1:1 Unsupported argument: An argument named "state" is not expected here. Did you mean "status"?`,
		`job = ""`:                          `1:7 Empty string: job is empty. Leave it out, or say something.`,
		`healthy = "maybe"`:                 `1:11 Wrong type: healthy must be true or false, not a string.`,
		"status = \"dead\"\nhealthy = true": `2:11 Contradiction: A job that is dead cannot be healthy. Leave healthy out.`,
	})
}

func TestJobString(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		``: "job n is running, within 30s",
		"job = \"api\"\nnamespace = \"prod\"\nhealthy = true\nwithin = \"1m\"": "job api@prod is running and healthy, within 1m0s",
	} {
		if got := gate(t, "job", "n", src).Spec.(*jobGate).String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestJobGate(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	own := c.run(sleepers("web", 0))
	c.run(sleepers("api", 0, 0))
	broken := sleepers("broken", 0, 0)
	broken.TaskGroups[1].Tasks[0].Config["command"] = "false"
	broken.TaskGroups[1].RestartPolicy = &api.RestartPolicy{Attempts: new(100), Interval: new(time.Hour), Delay: new(time.Hour), Mode: new("delay")}
	register(t, c, broken)
	gone := c.run(sleepers("gone", 0))
	if _, err := c.Stop(t.Context(), gone.Job, gone.JobModifyIndex); err != nil {
		t.Fatal(err)
	}
	allocs := waitForRestart(t, c, job.ID{Namespace: "default", Name: "broken"})
	const soon = "within = \"1s\"\ninterval = \"10ms\"\n"
	for name, tt := range map[string]struct{ src, want string }{
		"api":     {soon, "passed: job api is running"},
		"web":     {soon + "healthy = true", "passed: job web is running and healthy"},
		"another": {soon + "job = \"api\"\nhealthy = true", "passed: job api is running and healthy"},
		"not":     {soon + "job = \"api\"\nstatus = \"dead\"", "failed: not within 1s: job api is running"},
		"gone":    {soon, "failed: not within 1s: job gone is dead (stopped)"},
		"dead":    {soon + "job = \"gone\"\nstatus = \"dead\"", "passed: job gone is dead (stopped)"},
		"broken":  {soon + "healthy = true", "failed: not within 1s: job broken is running, but allocation ALLOC is restarting"},
		"missing": {soon, "failed: not within 1s: reading job missing: not found (job not found)"},
		"other":   {soon + "job = \"api\"\nnamespace = \"prod\"", "failed: not within 1s: reading job api@prod: not found (job not found)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := verdictOf(Run(t.Context(), c, own, gate(t, "job", name, tt.src)), short(allocs[0].ID), "ALLOC", short(allocs[1].ID), "ALLOC"); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func register(t *testing.T, c *cluster, j *api.Job) {
	t.Helper()
	if _, err := c.Register(t.Context(), j, nil, 0); err != nil {
		t.Fatal(err)
	}
}

// waitForRestart gives the job's allocations once a task of them waits to be
// started again.
func waitForRestart(t *testing.T, c *cluster, id job.ID) []*api.AllocationListStub {
	t.Helper()
	for at := uint64(0); ; {
		allocs, next, err := c.Allocations(t.Context(), id, at)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range allocs {
			if between(a) && len(allocs) == 2 {
				return allocs
			}
		}
		at = next
	}
}

// TestJobGateWaits for a job that is not there yet, while Nomad is away for a
// moment; and ends at once when it is told to.
func TestJobGateWaits(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	own := c.run(sleepers("web", 0))
	late := gate(t, "job", "late", "interval = \"5ms\"\nhealthy = true")
	asked := make(chan Result, 1)
	go func() { asked <- Run(t.Context(), c, own, late) }()
	c.run(sleepers("late", 0))
	if r := <-asked; !r.Passed {
		t.Error(r.Detail)
	}
	// Armed when the job is there: to register it reads the same path, and must not fail.
	c.server.Fault(nomadtest.Fault{Path: "/v1/job/late", Status: 503, Text: "restarting", Times: 2})
	if r := Run(t.Context(), c, own, late); !r.Passed {
		t.Error(r.Detail)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	r := Run(ctx, c, own, gate(t, "job", "never", "interval = \"1h\"\nwithin = \"1h\""))
	if r.Passed || !strings.HasPrefix(r.Detail, "interrupted; until then: reading job never: not found") || time.Since(start) > 5*time.Second {
		t.Errorf("after %s: %s", time.Since(start), r.Detail)
	}
}

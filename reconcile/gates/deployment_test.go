package gates

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/nomad"
)

// tasks are task states with this state and count of restarts.
func tasks(state string, restarts uint64) map[string]*api.TaskState {
	return map[string]*api.TaskState{"web": {State: state, Restarts: restarts}}
}

// rollout is a deployment of the spec at index, 1 of 2 allocations healthy.
func rollout(index uint64, status, description string, revert bool) *api.Deployment {
	return &api.Deployment{
		ID: "d1234567-89", JobSpecModifyIndex: index, JobVersion: 9, Status: status, StatusDescription: description,
		TaskGroups: map[string]*api.DeploymentState{"g": {HealthyAllocs: 1, DesiredTotal: 2, AutoRevert: revert}},
	}
}

// canaries is that deployment with canaries.
func canaries(n int, auto, promoted bool) *api.Deployment {
	d := rollout(5, "running", "Deployment is running but requires manual promotion", false)
	d.TaskGroups["g"].DesiredCanaries, d.TaskGroups["g"].Promoted = n, promoted
	if auto {
		d.StatusDescription = "Deployment is running pending automatic promotion"
	}
	return d
}

// alongside adds a group without canaries.
func alongside(d *api.Deployment, healthy int) *api.Deployment {
	d.TaskGroups["h"] = &api.DeploymentState{HealthyAllocs: healthy, DesiredTotal: 2}
	return d
}

func sick(a *api.AllocationListStub) *api.AllocationListStub {
	a.DeploymentStatus = &api.AllocDeploymentStatus{Healthy: new(false)}
	return a
}

func noPlace(m *api.AllocationMetric) *api.Evaluation {
	return &api.Evaluation{Status: "complete", FailedTGAllocs: map[string]*api.AllocationMetric{"g": m}}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	type (
		ds = []*api.Deployment
		as = []*api.AllocationListStub
	)
	done := &api.Evaluation{Status: "complete"}
	up := stub("a1", "running", tasks("running", 0))
	tests := map[string]struct {
		kind string // service unless said
		view view
		want verdict
		says string
	}{
		"no news":            {"", view{}, waiting, "waiting for the scheduler"},
		"evaluation pending": {"", view{eval: &api.Evaluation{Status: "pending"}}, waiting, "waiting for the scheduler"},
		"deployment to come": {"", view{eval: &api.Evaluation{Status: "complete", DeploymentID: "d"}, allocs: as{up}}, waiting, "waiting for the deployment"},
		"older deployment":   {"", view{eval: done, deployments: ds{rollout(4, "successful", "", false)}}, waiting, "0 of 1 allocations running"},
		"newer deployment":   {"", view{deployments: ds{rollout(6, "running", "", false)}}, overtaken, "a newer revision of the job (version 9) took over"},
		"running":            {"", view{deployments: ds{rollout(5, "running", "Deployment is running", false)}}, waiting, "1 of 2 allocations healthy"},
		"successful":         {"", view{deployments: ds{rollout(6, "running", "", false), rollout(5, "successful", "", false)}}, passed, "1 of 2 allocations healthy"},
		"failed":             {"", view{deployments: ds{rollout(5, "failed", "Failed due to progress deadline.", false)}}, failed, "Failed due to progress deadline"},
		"cancelled":          {"", view{deployments: ds{rollout(5, "cancelled", "Cancelled due to newer version of job", false)}}, overtaken, "Cancelled due to newer version of job"},
		"canary":             {"", view{deployments: ds{canaries(1, false, false)}}, person, "waiting for promotion: nomad deployment promote d1234567"},
		"canary starts":      {"", view{deployments: ds{canaries(2, false, false)}}, waiting, "1 of 2 allocations healthy"},
		"canary promoted":    {"", view{deployments: ds{canaries(1, false, true)}}, waiting, "1 of 2 allocations healthy"},
		"canary by itself":   {"", view{deployments: ds{canaries(1, true, false)}}, waiting, "1 of 2 allocations healthy"},
		"canary and others":  {"", view{deployments: ds{alongside(canaries(1, false, false), 1)}}, waiting, "2 of 4 allocations healthy"},
		"canary, others up":  {"", view{deployments: ds{alongside(canaries(1, false, false), 2)}}, person, "waiting for promotion: nomad deployment promote d1234567"},
		"paused":             {"", view{deployments: ds{rollout(5, "paused", "Deployment is paused", false)}}, person, "the deployment is paused: nomad deployment resume d1234567"},
		"unhealthy":          {"", view{deployments: ds{rollout(5, "running", "", false)}, allocs: as{sick(stub("a2345678-9", "running", nil))}}, failed, "allocation a2345678 is unhealthy"},
		"unhealthy, reverts": {"", view{deployments: ds{rollout(5, "running", "", true)}, allocs: as{sick(stub("a2", "running", nil))}}, waiting, "1 of 2 allocations healthy"},
		"deployment blocked": {"", view{deployments: ds{rollout(5, "running", "", false)}, eval: noPlace(&api.AllocationMetric{NodesEvaluated: 2, DimensionExhausted: map[string]int{"memory": 2}})}, waiting, "group g has no place: no node has 4096 MB memory free"},
		"no node":            {"", view{eval: noPlace(&api.AllocationMetric{})}, waiting, "group g has no place: no ready node in datacenter dc1"},
		"constraint":         {"", view{eval: noPlace(&api.AllocationMetric{NodesEvaluated: 3, ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 3}})}, waiting, "group g has no place: none of 3 nodes satisfies ${attr.kernel.name} = windows"},
		"no reason":          {"", view{eval: noPlace(&api.AllocationMetric{NodesEvaluated: 1})}, waiting, "group g has no place: no node fits it"},
		"no deployment":      {"", view{eval: done, allocs: as{up}}, steady, "1 of 1 allocations running"},
		"starting":           {"", view{eval: done, allocs: as{stub("a1", "pending", tasks("pending", 0))}}, waiting, "0 of 1 allocations running"},
		"between restarts":   {"", view{eval: done, allocs: as{stub("a1", "running", tasks("pending", 2))}}, waiting, "allocation a1 is restarting"},
		"pending, restarted": {"", view{eval: done, allocs: as{stub("a1", "pending", tasks("pending", 2))}}, waiting, "0 of 1 allocations running"},
		"back after restart": {"", view{eval: done, allocs: as{stub("a1", "running", tasks("running", 2))}}, steady, "1 of 1 allocations running"},
		"allocation failed":  {"", view{eval: done, allocs: as{stub("a1", "failed", nil)}}, failed, "allocation a1 is failed"},
		"allocation lost":    {"", view{eval: done, allocs: as{stub("a1", "lost", nil)}}, failed, "allocation a1 is lost"},
		"service complete":   {"", view{eval: done, allocs: as{stub("a1", "complete", nil)}}, waiting, "1 of 1 allocations running"},
		"batch complete":     {"batch", view{eval: done, allocs: as{stub("a1", "complete", nil)}}, passed, "1 of 1 allocations running or complete"},
		"batch running":      {"batch", view{eval: done, allocs: as{up}}, steady, "1 of 1 allocations running or complete"},
		"system":             {"system", view{eval: done, allocs: as{up, up}}, steady, "2 of 2 allocations running"},
		"system, one starts": {"system", view{eval: done, allocs: as{up, stub("a2", "pending", nil)}}, waiting, "1 of 2 allocations running"},
		"system, no node":    {"system", view{eval: done}, waiting, "0 of 1 allocations running"},
		"sysbatch complete":  {"sysbatch", view{eval: done, allocs: as{stub("a1", "complete", nil), stub("a2", "complete", nil)}}, passed, "2 of 2 allocations running or complete"},
	}
	for name, tt := range tests {
		j := testJob("web")
		j.Datacenters, j.TaskGroups[0].Tasks[0].Resources = []string{"dc1"}, &api.Resources{MemoryMB: new(4096)}
		if tt.kind != "" {
			j.Type = &tt.kind
		}
		got, says := judge(Change{Job: j, JobModifyIndex: 5, EvalID: "e"}, tt.view)
		if got != tt.want || says != tt.says {
			t.Errorf("%s: got %d %q, want %d %q", name, got, says, tt.want, tt.says)
		}
	}
}

func TestNothingToRun(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*api.Job){
		"the job is stopped":              func(j *api.Job) { j.Stop = new(true) },
		"takes effect at the next launch": func(j *api.Job) { j.Periodic = &api.PeriodicConfig{} },
		"count is 0, nothing to run":      func(j *api.Job) { j.TaskGroups[0].Count = new(0) },
	} {
		j := testJob("web")
		change(j)
		r := Deploy(t.Context(), &fake{fault: errors.New("was asked")}, Change{Job: j})
		if !r.Passed || r.Detail != says {
			t.Errorf("got %+v, want %s", r, says)
		}
	}
}

// TestDeploy runs the whole gate: the watches, the wait and the reason.
func TestDeploy(t *testing.T) {
	t.Parallel()
	up := []*api.AllocationListStub{stub("a1", "running", tasks("running", 0))}
	why := &nomad.Failure{Task: "web", Message: "Exit Code: 1.", Stderr: []string{"first", "sudo: no"}}
	tests := map[string]struct {
		nomad  *fake
		passed bool
		detail string
		after  time.Duration
	}{
		"steady":   {&fake{allocs: up}, true, "1 of 1 allocations running", 10 * time.Second},
		"deadline": {&fake{failure: why}, false, "not healthy before the deadline: 0 of 1 allocations running; task web: Exit Code: 1: sudo: no", time.Minute},
		"failed":   {&fake{allocs: []*api.AllocationListStub{stub("a1", "failed", nil)}, failure: why}, false, "allocation a1 is failed; task web: Exit Code: 1: sudo: no", 0},
		"away":     {&fake{fault: nomad.ErrUnreachable}, false, "not healthy before the deadline: no news from Nomad", time.Minute},
		"refused":  {&fake{fault: nomad.ErrForbidden}, false, "permission denied", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				r := Deploy(ctx, tt.nomad, Change{Job: testJob("web")})
				if want := (Result{Kind: "deployment", Passed: tt.passed, Detail: tt.detail, Duration: tt.after}); r != want {
					t.Errorf("\n got %+v\nwant %+v", r, want)
				}
			})
		})
	}
}

// TestDeployFollowsTheEvaluation: one that cannot be read yet is asked for again.
func TestDeployFollowsTheEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{allocs: []*api.AllocationListStub{stub("a1", "running", tasks("running", 0))}, eval: &api.Evaluation{Status: "complete"}}
		f.evalMissing.Store(2)
		r := Deploy(t.Context(), f, Change{Job: testJob("web"), EvalID: "e1"})
		if want := (Result{Kind: "deployment", Passed: true, Detail: "1 of 1 allocations running", Duration: 2*faultWait + 10*time.Second}); r != want {
			t.Errorf("\n got %+v\nwant %+v", r, want)
		}
	})
}

// TestDeployInterrupted: also by a context with a cause of its own, as a signal's.
func TestDeployInterrupted(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{nil, errors.New("interrupt signal received")} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			r := Deploy(ctx, &fake{}, Change{Job: testJob("web")})
			if r.Passed || r.Detail != "interrupted: 0 of 1 allocations running" || r.Duration != time.Second {
				t.Errorf("%v: %+v", cause, r)
			}
		})
	}
}

// TestFollowSteady: another restart, or a view that is not steady, begins the
// wait for min_healthy_time anew; a view that moved nothing does not.
func TestFollowSteady(t *testing.T) {
	t.Parallel()
	at := func(state string, restarts uint64) view {
		return view{allocs: []*api.AllocationListStub{stub("a1", "running", tasks(state, restarts))}}
	}
	tests := map[string]struct {
		second view // 2 seconds after the first
		third  view // 1 second after the second
		after  time.Duration
	}{
		"unmoved":    {at("running", 0), at("running", 0), 4 * time.Second},
		"restarted":  {at("running", 1), at("running", 1), 6 * time.Second},
		"restarting": {at("pending", 1), at("running", 1), 7 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := testJob("web")
				j.Update = &api.UpdateStrategy{MinHealthyTime: new(4 * time.Second)}
				views := make(chan view)
				start := time.Now()
				go func() {
					views <- at("running", 0)
					<-time.After(2 * time.Second)
					views <- tt.second
					<-time.After(time.Second)
					views <- tt.third
				}()
				says, detail := follow(t.Context(), Change{Job: j}, views, nil)
				if took := time.Since(start); says != passed || took != tt.after {
					t.Errorf("%v %s after %s, want %s", says, detail, took, tt.after)
				}
			})
		})
	}
}

// TestFollowNewer: a newer revision ends the wait at once with what it is; Nomad's
// own revert is told by the deployment, whichever is seen first.
func TestFollowNewer(t *testing.T) {
	t.Parallel()
	const newer = "a newer revision of the job (version 9) took over"
	end := func(status, why string) view {
		return view{deployments: []*api.Deployment{rollout(5, status, why, true)}}
	}
	tests := map[string]struct {
		revert    bool
		job, seen time.Duration // when the job's move and the view come; below 0: never
		view      view
		want      verdict
		says      string
		after     time.Duration
	}{
		"job alone":            {false, time.Second, -1, view{}, overtaken, newer, time.Second},
		"cancelled first":      {false, 2 * time.Second, time.Second, end("cancelled", "Cancelled."), overtaken, newer, 2 * time.Second},
		"cancelled alone":      {false, -1, time.Second, end("cancelled", "Cancelled."), overtaken, "Cancelled", 11 * time.Second},
		"reverted":             {true, time.Second, 2 * time.Second, end("failed", "Failed - rolling back"), failed, "Failed - rolling back", 2 * time.Second},
		"reverts, by somebody": {true, time.Second, 2 * time.Second, end("cancelled", "Cancelled"), overtaken, newer, 2 * time.Second},
		"reverts, no word":     {true, time.Second, -1, view{}, overtaken, newer, 11 * time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := testJob("web")
				j.TaskGroups[0].Update = &api.UpdateStrategy{AutoRevert: &tt.revert}
				views, moved := make(chan view, 1), make(chan string, 1)
				if tt.job > 0 {
					time.AfterFunc(tt.job, func() { moved <- newer })
				}
				if tt.seen > 0 {
					time.AfterFunc(tt.seen, func() { views <- tt.view })
				}
				start := time.Now()
				got, says := follow(t.Context(), Change{Job: j, JobModifyIndex: 5}, views, moved)
				if took := time.Since(start); got != tt.want || says != tt.says || took != tt.after {
					t.Errorf("got %d %q after %s, want %d %q after %s", got, says, took, tt.want, tt.says, tt.after)
				}
			})
		})
	}
}

func TestSteady(t *testing.T) {
	t.Parallel()
	before := []*api.AllocationListStub{stub("a1", "running", tasks("running", 1))}
	why := &nomad.Failure{Task: "web", Message: "Exit Code: 1"}
	tests := map[string]struct {
		now  *fake
		want string
	}{
		"unmoved":   {&fake{allocs: before}, "true "},
		"restarted": {&fake{allocs: []*api.AllocationListStub{stub("a1", "running", tasks("running", 2))}, failure: why}, "false allocation a1 restarted after it was healthy; task web: Exit Code: 1"},
		"failed":    {&fake{allocs: []*api.AllocationListStub{stub("a1", "failed", nil)}}, "false allocation a1 did not last"},
		"gone":      {&fake{}, "false allocation a1 did not last"},
		"refused":   {&fake{fault: nomad.ErrForbidden}, "false permission denied"},
	}
	for name, tt := range tests {
		ok, detail := Steady(t.Context(), tt.now, Change{Job: testJob("web")}, before)
		if got := fmt.Sprint(ok, " ", detail); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

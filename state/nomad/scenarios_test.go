package nomad_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

var scenarios = []struct {
	name string
	run  func(*script)
}{
	{"register", (*script).registering},
	{"stop", (*script).stopping},
	{"stop patience", (*script).stoppingPatiently},
	{"defaults", (*script).defaults},
	{"submissions", (*script).submissions},
	{"plan", (*script).planning},
	{"plan new", (*script).planningNew},
	{"plan broken", (*script).planningBroken},
	{"failing", (*script).failing},
	{"no command", (*script).noCommand},
	{"deployment", (*script).deploying},
	{"deployment fails", (*script).deploymentFails},
	{"progress deadline", (*script).progressDeadline},
	{"auto revert", (*script).autoRevert},
	{"rolling", (*script).rolling},
	{"canary", (*script).canary},
	{"no place", (*script).noPlace},
	{"no pool", (*script).noPool},
	{"superseded", (*script).superseded},
	{"batch", (*script).batch},
	{"system", (*script).system},
	{"periodic", (*script).periodic},
	{"force", (*script).forcing},
	{"dispatch", (*script).dispatching},
	{"dispatch fails", (*script).dispatchFails},
	{"services", (*script).serving},
	{"services fail", (*script).servingBadly},
	{"node", (*script).node},
	{"count zero", (*script).countZero},
	{"environment", (*script).environment},
	{"unknown reference", (*script).unknownReference},
	{"blocking", (*script).blocking},
	{"events", (*script).events},
	{"events of launches", (*script).eventsOfLaunches},
	{"follow", (*script).following},
	{"listed", (*script).listed},
	{"listed failing", (*script).listedFailing},
	{"listed waiting", (*script).listedWaiting},
	{"logs", (*script).logging},
	{"parse", (*script).parsing},
	{"odd names", (*script).oddNames},
	{"not found", (*script).notFound},
	{"refused", (*script).refused},
}

func source(text string) *api.JobSubmission { return &api.JobSubmission{Source: text, Format: "hcl2"} }

func (s *script) registering() {
	r := s.register(s.job(idle), nil, 0)
	s.say("new: evaluation %t, index %t", r.EvalID != "", r.JobModifyIndex > 0)
	s.status(s.id(), "running")

	_, err := s.Register(s.ctx, s.job(idle), nil, 0)
	s.sayError("again as new", err)
	_, err = s.Register(s.ctx, s.job(idle), nil, r.JobModifyIndex+1)
	s.sayError("with another index", err)
	ghost := s.job(idle)
	ghost.ID = new("register-ghost")
	_, err = s.Register(s.ctx, ghost, nil, 7)
	s.sayError("not there, with an index", err)

	same := s.register(s.job(idle), nil, r.JobModifyIndex)
	s.say("unchanged: evaluation %t, index moved %t", same.EvalID != "", same.JobModifyIndex != r.JobModifyIndex)
	s.deployed(s.id(), r.JobModifyIndex)
	same = s.register(s.job(idle), source("ignored"), r.JobModifyIndex)
	s.say("unchanged, after the deployment: index moved %t", same.JobModifyIndex != r.JobModifyIndex)
	s.sayJob(s.live(s.id()))
	s.saySubmission(s.id(), 0)

	j := s.job(idle)
	task(j).Env = map[string]string{"A": "1"}
	next := s.register(j, nil, r.JobModifyIndex)
	s.say("changed: index moved %t, as the job says %t", next.JobModifyIndex > r.JobModifyIndex, *s.live(s.id()).JobModifyIndex == next.JobModifyIndex)
	s.deployed(s.id(), next.JobModifyIndex)
	s.sayJob(s.live(s.id()))
	s.say("index moved by allocations %t", *s.live(s.id()).JobModifyIndex != next.JobModifyIndex)
}

func (s *script) stopping() {
	r := s.register(s.job(idle), source("one"), 0)
	s.deployed(s.id(), r.JobModifyIndex)
	live := s.live(s.id())
	s.sayJob(live)
	_, err := s.Stop(s.ctx, live, *live.JobModifyIndex+1)
	s.sayError("stop with another index", err)
	stop := must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	s.say("stopped: evaluation %t, index moved %t", stop.EvalID != "", stop.JobModifyIndex > r.JobModifyIndex)
	s.sayAllocs(s.await(s.id(), func(allocs []*api.AllocationListStub) bool { return allocs[0].ClientStatus == "complete" }))
	live = s.live(s.id())
	s.sayJob(live)
	s.saySubmission(s.id(), 1)

	live.Stop = new(false)
	again := s.register(live, nil, stop.JobModifyIndex)
	s.deployed(s.id(), again.JobModifyIndex)
	s.sayJob(s.live(s.id()))
	s.saySubmission(s.id(), 2)
}

func (s *script) stoppingPatiently() {
	r := s.register(s.job(`trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done`), nil, 0)
	s.deployed(s.id(), r.JobModifyIndex)
	live := s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	allocs := s.await(s.id(), func(allocs []*api.AllocationListStub) bool { return allocs[0].ClientStatus == "complete" })
	s.sayAllocs(allocs)
	s.say("stdout %q", must[[]string](s)(s.Tail(s.ctx, allocs[0].ID, "t", "stdout", 5)))
	f := must[*nomad.Failure](s)(s.LastFailure(s.ctx, allocs))
	s.say("failure %t", f != nil)
}

func (s *script) defaults() {
	j := s.job("exit 0")
	j.Type, j.Update = new("batch"), nil
	s.register(j, nil, 0)
	s.status(s.id(), "complete")
	s.sayJSON("batch", s.live(s.id()))
	j = s.job(idle)
	j.ID, j.TaskGroups[0].Count = new(s.name+"-service"), new(0)
	j.Update, j.TaskGroups[0].RestartPolicy, j.TaskGroups[0].ReschedulePolicy = nil, nil, nil
	task(j).Resources, task(j).KillTimeout, task(j).KillSignal = nil, nil, ""
	s.evaluated(s.register(j, nil, 0).EvalID)
	s.sayJSON("service", s.live(job.ID{Name: s.name + "-service"}))
}

func (s *script) submissions() {
	j := s.job(idle)
	j.TaskGroups[0].Count = new(0)
	r := s.register(j, &api.JobSubmission{Source: "zero", Format: "hcl2", Variables: "a = 1\n", VariableFlags: map[string]string{"b": "two words"}}, 0)
	s.saySubmission(s.id(), 0)
	change := func(priority int, sub *api.JobSubmission) {
		j := s.live(s.id())
		j.Priority = new(priority)
		r = s.register(j, sub, r.JobModifyIndex)
	}
	change(51, nil)
	s.saySubmission(s.id(), 1)
	change(52, source("two"))
	j = s.live(s.id())
	j.Priority, j.Version = new(53), new(uint64(0))
	r = s.register(j, nil, r.JobModifyIndex)
	s.say("registered as version 0 was")
	for v := range uint64(5) {
		s.saySubmission(s.id(), v)
	}
	for p := 54; p < 58; p++ {
		change(p, source(fmt.Sprint(p)))
	}
	s.evaluated(r.EvalID)
	s.sayJob(s.live(s.id()))
	for v := range uint64(8) {
		s.saySubmission(s.id(), v)
	}
	bare := s.job(idle)
	bare.ID, bare.TaskGroups[0].Count = new("submissions-bare"), new(0)
	s.register(bare, nil, 0)
	s.saySubmission(job.ID{Name: "submissions-bare"}, 0)
}

// sayPlan tells a dry-run of the job after a change.
func (s *script) sayPlan(what string, j *api.Job) {
	s.t.Helper()
	p := must[*api.JobPlanResponse](s)(s.Plan(s.ctx, j))
	s.sayJSON(what, map[string]any{"Diff": p.Diff, "Updates": p.Annotations.DesiredTGUpdates})
}

func (s *script) planning() {
	j := s.job(`exec "$@"`)
	task(j).Config["args"] = []any{"-c", `exec "$@"`, "sh", "sleep", "1000"}
	task(j).Env = map[string]string{"A": "1"}
	j.TaskGroups[0].Count = new(2)
	r := s.register(j, nil, 0)
	s.deployed(s.id(), r.JobModifyIndex)
	for _, change := range []struct {
		what string
		make func(j *api.Job, g *api.TaskGroup, t *api.Task)
	}{
		{"unchanged", func(*api.Job, *api.TaskGroup, *api.Task) {}},
		{"argument removed", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) {
			t.Config["args"] = []any{"-c", "sh", "sleep", "1000"}
		}},
		{"env added", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.Env["B"] = "x.y z" }},
		{"env removed", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.Env = nil }},
		{"config nested", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) {
			t.Config["work"] = []any{map[string]any{"x": 1, "y": []any{true}}}
		}},
		{"count", func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Count = new(3) }},
		{"count down", func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Count = new(0) }},
		{"stop", func(j *api.Job, _ *api.TaskGroup, _ *api.Task) { j.Stop = new(true) }},
		{"resources", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.Resources.CPU = new(11) }},
		{"update", func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Update.AutoRevert = new(true) }},
		{"restart", func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.RestartPolicy.Attempts = new(4) }},
		{"meta", func(j *api.Job, g *api.TaskGroup, t *api.Task) {
			j.Meta, g.Meta, t.Meta = map[string]string{"a": "1"}, map[string]string{"b": "2"}, map[string]string{"c": "3"}
		}},
		{"priority", func(j *api.Job, _ *api.TaskGroup, _ *api.Task) { j.Priority = new(60) }},
		{"datacenters", func(j *api.Job, _ *api.TaskGroup, _ *api.Task) { j.Datacenters = []string{"dc1"} }},
		{"constraint", func(j *api.Job, _ *api.TaskGroup, _ *api.Task) {
			j.Constraints = []*api.Constraint{{LTarget: "${attr.kernel.name}", RTarget: "linux", Operand: "="}}
		}},
		{"kill timeout", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.KillTimeout = new(2 * time.Second) }},
		{"user", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.User = "nobody" }},
		{"logs", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) { t.LogConfig.MaxFiles = new(3) }},
		{"template", func(_ *api.Job, _ *api.TaskGroup, t *api.Task) {
			t.Templates = []*api.Template{{EmbeddedTmpl: new("x"), DestPath: new("local/x")}}
		}},
		{"task added", func(_ *api.Job, g *api.TaskGroup, t *api.Task) {
			g.Tasks = append(g.Tasks, &api.Task{Name: "u", Driver: "raw_exec", Config: map[string]any{"command": "/bin/true"}, Resources: &api.Resources{CPU: new(10), MemoryMB: new(16)}})
		}},
		{"group renamed", func(_ *api.Job, g *api.TaskGroup, _ *api.Task) { g.Name = new("h") }},
	} {
		j := s.live(s.id())
		change.make(j, j.TaskGroups[0], task(j))
		s.sayPlan(change.what, j)
	}
	s.sayJob(s.live(s.id()))
}

func (s *script) planningNew() {
	s.sayPlan("new", s.job(idle))
	_, err := s.Job(s.ctx, s.id())
	s.say("registered by the plan: %t", !errors.Is(err, nomad.ErrNotFound))
}

func (s *script) planningBroken() {
	r := s.register(s.job("exit 1"), nil, 0)
	s.deployed(s.id(), r.JobModifyIndex)
	s.status(s.id(), "failed")
	live := s.live(s.id())
	s.sayPlan("unchanged", live)
	task(live).Config["args"] = []any{"-c", "exit 0"}
	s.sayPlan("mended", live)
	must[nomad.Registration](s)(s.Stop(s.ctx, s.live(s.id()), r.JobModifyIndex))
	live.Stop = new(false)
	s.sayPlan("mended, when stopped", live)
	live.Stop = new(true)
	s.sayPlan("mended, staying stopped", live)
}

func (s *script) failing() {
	j := s.job("echo out; echo one >&2; echo two >&2; exit 3")
	j.TaskGroups[0].RestartPolicy.Attempts = new(1)
	s.register(j, nil, 0)
	allocs := s.status(s.id(), "failed")
	s.sayAllocs(untilUnhealthy(s))
	f := must[*nomad.Failure](s)(s.LastFailure(s.ctx, allocs))
	s.say("failure: task %s, exit %d, %q, stderr %q, dated %t, node %t", f.Task, f.ExitCode, f.Message, f.Stderr, time.Since(f.Time) < time.Minute, f.Node != "")
	a := must[*api.Allocation](s)(s.Allocation(s.ctx, allocs[0].ID))
	s.say("the allocation's job: %s version %d", *a.Job.ID, *a.Job.Version)
}

// untilUnhealthy waits for the verdict on the job's only allocation.
func untilUnhealthy(s *script) []*api.AllocationListStub {
	return s.await(s.id(), func(allocs []*api.AllocationListStub) bool {
		st := allocs[0].DeploymentStatus
		said := slices.ContainsFunc(allocs[0].TaskStates["t"].Events, func(e *api.TaskEvent) bool { return e.Type == "Alloc Unhealthy" })
		return said && st != nil && st.Healthy != nil && !*st.Healthy
	})
}

func (s *script) noCommand() {
	j := s.job("")
	task(j).Config = map[string]any{"command": "/no/such/command"}
	s.register(j, nil, 0)
	allocs := s.status(s.id(), "failed")
	f := must[*nomad.Failure](s)(s.LastFailure(s.ctx, allocs))
	s.say("failure: task %s, exit %d, stderr %q, names it %t", f.Task, f.ExitCode, f.Stderr, strings.Contains(f.Message, `"/no/such/command" could not be found`))
	_, err := s.Tail(s.ctx, allocs[0].ID, "t", "stderr", 1)
	s.sayError("its log", err)
}

func (s *script) deploying() {
	j := s.job(idle)
	j.TaskGroups[0].Count = new(2)
	r := s.register(j, nil, 0)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	s.sayJob(s.live(s.id()))
	e, _, err := s.Evaluation(s.ctx, r.EvalID, 0)
	must[any](s)(nil, err)
	s.say("evaluation: %s, %s, %s, deployment %t, next %q, blocked %q", e.Status, e.TriggeredBy, e.Type, e.DeploymentID != "", e.NextEval, e.BlockedEval)
	for _, a := range s.status(s.id(), "running") {
		s.say("healthy %t", *a.DeploymentStatus.Healthy)
	}
	live := s.live(s.id())
	live.Priority = new(60)
	next := s.register(live, nil, r.JobModifyIndex)
	s.sayDeployment(s.deployed(s.id(), next.JobModifyIndex))
	s.say("updated in place:")
	s.sayAllocs(s.status(s.id(), "running"))
	s.sayJob(s.live(s.id()))
}

func (s *script) deploymentFails() {
	r := s.register(s.job("exit 1"), nil, 0)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	s.sayAllocs(untilUnhealthy(s))
	s.say("stable %t", *s.live(s.id()).Stable)
}

func (s *script) progressDeadline() {
	j := s.job(idle)
	u := j.Update
	u.MinHealthyTime, u.HealthyDeadline, u.ProgressDeadline = new(1500*time.Millisecond), new(1800*time.Millisecond), new(2*time.Second)
	j.TaskGroups[0].RestartPolicy = &api.RestartPolicy{Attempts: new(9), Interval: new(time.Hour), Delay: new(100 * time.Millisecond), Mode: new("delay")}
	j.TaskGroups[0].ReschedulePolicy = &api.ReschedulePolicy{Unlimited: new(true), Delay: new(time.Minute), DelayFunction: new("constant")}
	task(j).Config["args"] = []any{"-c", "sleep 0.5; exit 1"}
	r := s.register(j, nil, 0)
	d := s.deployed(s.id(), r.JobModifyIndex)
	s.say("deployment: %s (%s)", d.Status, d.StatusDescription)
}

func (s *script) autoRevert() {
	j := s.job(idle)
	j.Update.AutoRevert = new(true)
	r := s.register(j, source("good"), 0)
	s.deployed(s.id(), r.JobModifyIndex)
	bad := s.live(s.id())
	task(bad).Config["args"] = []any{"-c", "exit 1"}
	r = s.register(bad, source("bad"), r.JobModifyIndex)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	back := s.live(s.id())
	s.say("rolled back to args %v", task(back).Config["args"])
	s.sayDeployment(s.deployed(s.id(), *back.JobModifyIndex))
	s.sayJob(s.live(s.id()))
	for v := range uint64(3) {
		s.saySubmission(s.id(), v)
	}
}

func (s *script) rolling() {
	j := s.job(idle)
	j.TaskGroups[0].Count = new(3)
	r := s.register(j, nil, 0)
	s.deployed(s.id(), r.JobModifyIndex)
	live := s.live(s.id())
	task(live).Env = map[string]string{"A": "1"}
	r = s.register(live, nil, r.JobModifyIndex)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	s.sayAllocs(s.await(s.id(), func(allocs []*api.AllocationListStub) bool {
		ended := 0
		for _, a := range allocs {
			if a.ClientStatus == "complete" {
				ended++
			}
		}
		return ended == 3
	}))
}

func (s *script) superseded() {
	j := s.job(idle)
	j.Update.MinHealthyTime = new(15 * time.Second)
	r := s.register(j, nil, 0)
	s.status(s.id(), "running")
	live := s.live(s.id())
	task(live).Env = map[string]string{"A": "1"}
	next := s.register(live, nil, r.JobModifyIndex)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	s.status(s.id(), "running")
	live = s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, next.JobModifyIndex))
	s.sayDeployment(s.deployed(s.id(), next.JobModifyIndex))
	list, _, err := s.Deployments(s.ctx, s.id(), 0)
	must[any](s)(nil, err)
	for _, d := range list {
		s.say("deployment of version %d", d.JobVersion)
	}
}

func (s *script) batch() {
	j := s.job("echo done")
	j.Type, j.Update = new("batch"), nil
	r := s.register(j, nil, 0)
	s.sayAllocs(s.status(s.id(), "complete"))
	s.sayJob(s.live(s.id()))
	list, _, err := s.Deployments(s.ctx, s.id(), 0)
	must[any](s)(nil, err)
	s.say("deployments: %d", len(list))
	r = s.register(s.live(s.id()), nil, r.JobModifyIndex)
	allocs, _, err := s.Allocations(s.ctx, s.id(), 0)
	must[any](s)(nil, err)
	s.say("registered unchanged: %d allocations", len(allocs))
	live := s.live(s.id())
	s.sayPlan("unchanged", live)
	task(live).Env = map[string]string{"A": "1"}
	s.sayPlan("changed", live)
	s.register(live, nil, r.JobModifyIndex)
	s.sayAllocs(s.status(s.id(), "complete"))
}

func (s *script) system() {
	j := s.job(idle)
	j.Type, j.TaskGroups[0].ReschedulePolicy = new("system"), nil
	r := s.register(j, nil, 0)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	s.sayAllocs(s.status(s.id(), "running"))
	s.sayJob(s.live(s.id()))
}

func (s *script) periodic() {
	j := s.job("exit 0")
	j.Type, j.Update = new("batch"), nil
	j.Periodic = &api.PeriodicConfig{Enabled: new(true), Specs: []string{"0 0 1 1 *"}, ProhibitOverlap: new(true)}
	r := s.register(j, nil, 0)
	s.say("evaluation %t", r.EvalID != "")
	s.sayJob(s.live(s.id()))
	allocs, _, err := s.Allocations(s.ctx, s.id(), 0)
	must[any](s)(nil, err)
	s.say("allocations: %d", len(allocs))
	s.sayPlan("unchanged", s.live(s.id()))
}

func (s *script) countZero() {
	j := s.job(idle)
	j.TaskGroups[0].Count = new(0)
	r := s.register(j, nil, 0)
	e := s.evaluated(r.EvalID)
	s.say("evaluation %s", e.Status)
	s.sayJob(s.live(s.id()))
	list, _, err := s.Deployments(s.ctx, s.id(), 0)
	must[any](s)(nil, err)
	s.say("deployments: %d", len(list))
}

// evaluated waits until an evaluation is no longer pending.
func (s *script) evaluated(id string) *api.Evaluation {
	s.t.Helper()
	var index uint64
	for {
		e, next, err := s.Evaluation(s.ctx, id, index)
		must[any](s)(nil, err)
		if e.Status != "pending" {
			return e
		}
		index = next
	}
}

func (s *script) environment() {
	j := s.job("")
	j.Type, j.Update = new("batch"), nil
	j.Meta = map[string]string{"x": "job", "y": "job"}
	task(j).Meta = map[string]string{"y": "task"}
	task(j).Env = map[string]string{"A": "in ${NOMAD_TASK_NAME}", "B": "${meta.y}", "C": "${unknown.thing}"}
	script := `echo "$A|$B|$C"; echo "$NOMAD_JOB_ID $NOMAD_GROUP_NAME $NOMAD_ALLOC_INDEX $NOMAD_ALLOC_NAME $NOMAD_NAMESPACE $NOMAD_DC $NOMAD_REGION $NOMAD_META_x $NOMAD_META_Y"; echo "$1|$2|$3"; test "$4" = "$NOMAD_ALLOC_ID" && echo own; cd "$NOMAD_TASK_DIR" && touch here; test -d "$NOMAD_ALLOC_DIR" && test -d "$NOMAD_SECRETS_DIR" && echo dirs`
	task(j).Config["args"] = []any{"-c", script, "sh", "${NOMAD_TASK_NAME}", `${env["A"]}`, "${NOMAD_META_x}", "${NOMAD_ALLOC_ID}"}
	s.register(j, nil, 0)
	allocs := s.status(s.id(), "complete")
	for _, line := range must[[]string](s)(s.Tail(s.ctx, allocs[0].ID, "t", "stdout", 10)) {
		s.say("%s", line)
	}
}

func (s *script) unknownReference() {
	j := s.job("")
	task(j).Config["args"] = []any{"${unknown.thing}"}
	s.register(j, nil, 0)
	allocs := s.status(s.id(), "failed")
	for _, e := range allocs[0].TaskStates["t"].Events {
		s.say("%s", e.Type)
	}
	f := must[*nomad.Failure](s)(s.LastFailure(s.ctx, allocs))
	s.say("failure: %t, exit %d", strings.Contains(f.Message, "failed to parse config"), f.ExitCode)
}

func (s *script) blocking() {
	r := s.register(s.job(idle), nil, 0)
	s.deployed(s.id(), r.JobModifyIndex)
	index := s.quiet()
	gone, cancel := context.WithCancel(s.ctx)
	cancel()
	_, _, err := s.Deployments(gone, s.id(), index)
	s.say("cancelled: %t", errors.Is(err, context.Canceled))

	moved := make(chan string, 1)
	go func() {
		_, next, err := s.Allocations(s.ctx, s.id(), index)
		moved <- fmt.Sprintf("index moved %t, error %v", next > index, err)
	}()
	live := s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	select {
	case text := <-moved:
		s.say("stop wakes the reader: %s", text)
	case <-time.After(20 * time.Second):
		s.t.Fatal("a stop did not wake the reader")
	}
}

// quiet waits until a blocking read is held for a while: the last news of a started
// allocation come late. It returns the index from which nothing moves.
func (s *script) quiet() uint64 {
	s.t.Helper()
	var index uint64
	for range 20 {
		brief, cancel := context.WithTimeout(s.ctx, 400*time.Millisecond)
		_, next, err := s.Allocations(brief, s.id(), index)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			s.say("nothing moves, nothing is answered")
			return index
		}
		must[any](s)(nil, err)
		if next == index {
			s.t.Fatal("answered though nothing moved")
		}
		index = next
	}
	s.t.Fatal("the allocations never come to rest")
	return 0
}

func (s *script) logging() {
	s.register(s.job(`echo first; echo problem >&2; while [ ! -e "$NOMAD_TASK_DIR/go" ]; do sleep 0.05; done; echo second; exec sleep 1000`), nil, 0)
	a := s.status(s.id(), "running")[0]
	r := must[io.ReadCloser](s)(s.Logs(s.ctx, a.ID, "t", "stdout", true))
	defer r.Close()
	s.say("followed: %q", readLine(s, r))
	other := must[io.ReadCloser](s)(s.Logs(s.ctx, a.ID, "t", "stderr", true))
	s.say("the other stream: %q", readLine(s, other))
	other.Close()
	s.say("once: %q", readAll(s, a.ID, "stderr"))
	full := must[*api.Allocation](s)(s.Allocation(s.ctx, a.ID))
	s.say("of task group %s", full.TaskGroup)

	got := make(chan error, 1)
	go func() {
		_, err := r.Read(make([]byte, 1))
		got <- err
	}()
	r.Close()
	s.say("closed: %v", <-got)
	_, err := s.Logs(s.ctx, a.ID, "nope", "stdout", false)
	s.sayError("no such task", err)
	_, err = s.Logs(s.ctx, "27948b02-3e99-7089-ade2-b05b13eb0fac", "t", "stdout", false)
	s.sayError("no such allocation", err)
}

func readAll(s *script, alloc, stream string) string {
	s.t.Helper()
	r := must[io.ReadCloser](s)(s.Logs(s.ctx, alloc, "t", stream, false))
	defer r.Close()
	return string(must[[]byte](s)(io.ReadAll(r)))
}

func readLine(s *script, r io.Reader) string {
	s.t.Helper()
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(r, b); err != nil {
			s.t.Fatalf("following the log: %v", err)
		}
		if line = append(line, b[0]); b[0] == '\n' {
			return string(line)
		}
	}
}

func (s *script) parsing() {
	text := "variable \"dc\" {\n  type = string\n}\nvariable \"more\" {\n  type = list(string)\n  default = []\n}\njob \"p\" {\n  datacenters = concat([var.dc], var.more)\n}\n"
	sub := source(text)
	for _, given := range []struct {
		what      string
		variables string
		flags     map[string]string
	}{
		{"file", "dc = \"one\"\n", nil},
		{"flags", "", map[string]string{"dc": "a \"b\" ${c}", "more": `["x", "y"]`}},
		{"flag over file", "dc = \"one\"\nmore = [\"z\"]", map[string]string{"dc": "two"}},
	} {
		sub.Variables, sub.VariableFlags = given.variables, given.flags
		j := must[*api.Job](s)(s.Parse(s.ctx, "default", sub))
		s.say("%s: %s %q, defaults filled in %t", given.what, *j.ID, j.Datacenters, j.Priority != nil)
	}
	sub.Variables, sub.VariableFlags = "", nil
	_, err := s.Parse(s.ctx, "default", sub)
	s.say("a variable without value: %s, names it %t", errorKind(err), strings.Contains(err.Error(), `Unset variable "dc"`))
}

// parseLittle reads as much of job files as the scenario needs.
func parseLittle(source, variables string) (*api.Job, error) {
	f, diags := hclsyntax.ParseConfig([]byte(source), "input.hcl", hcl.InitialPos)
	given, more := hclsyntax.ParseConfig([]byte(variables), "variables", hcl.InitialPos)
	if diags = append(diags, more...); diags.HasErrors() {
		return nil, diags
	}
	attrs, _ := given.Body.JustAttributes()
	values := map[string]cty.Value{"more": cty.ListValEmpty(cty.String)}
	for name, a := range attrs {
		values[name], _ = a.Expr.Value(nil)
	}
	if _, ok := values["dc"]; !ok {
		return nil, errors.New(`<nil>: Unset variable "dc"`)
	}
	var dcs []string
	for _, v := range append([]cty.Value{values["dc"]}, values["more"].AsValueSlice()...) {
		dcs = append(dcs, v.AsString())
	}
	var job struct {
		Job struct {
			Name string   `hcl:",label"`
			Rest hcl.Body `hcl:",remain"`
		} `hcl:"job,block"`
		Rest hcl.Body `hcl:",remain"`
	}
	if diags := gohcl.DecodeBody(f.Body, nil, &job); diags.HasErrors() {
		return nil, diags
	}
	return &api.Job{ID: &job.Job.Name, Name: &job.Job.Name, Datacenters: dcs}, nil
}

func (s *script) oddNames() {
	for _, name := range []string{"odd/a.b_C", "odd%2Fname", "odd+ünï"} {
		id := job.ID{Namespace: "apps", Name: name}
		j := s.job(idle)
		j.ID, j.Namespace = &name, new("apps")
		j.TaskGroups[0].Count = new(0)
		r := s.register(j, source(name), 0)
		live := s.live(id)
		s.say("%s in %s, name %s", *live.ID, *live.Namespace, *live.Name)
		s.saySubmission(id, 0)
		s.evaluated(r.EvalID)
		p := must[*api.JobPlanResponse](s)(s.Plan(s.ctx, live))
		s.say("plan %s", p.Diff.Type)
		_, err := s.Job(s.ctx, job.ID{Namespace: "default", Name: name})
		s.say("in the default namespace: %s", errorKind(err))
		_, _, err = s.Allocations(s.ctx, id, 0)
		must[any](s)(nil, err)
		live = s.live(id)
		must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	}
	for _, namespaces := range [][]string{{"apps"}, {"*"}, {"apps", "default"}} {
		n := 0
		for _, stub := range must[[]*api.JobListStub](s)(s.Jobs(s.ctx, namespaces)) {
			if strings.HasPrefix(stub.ID, "odd") && stub.ID != s.name {
				n++
				s.say("%v lists %s in %s: %s, stop %t", namespaces, stub.ID, stub.Namespace, stub.Type, stub.Stop)
			}
		}
	}
}

func (s *script) notFound() {
	ghost := job.ID{Namespace: "default", Name: "no/such"}
	_, err := s.Job(s.ctx, ghost)
	s.sayError("job", err)
	sub, err := s.Submission(s.ctx, ghost, 0)
	s.say("submission: %v, %v", sub, err)
	allocs, _, err := s.Allocations(s.ctx, ghost, 0)
	s.say("allocations: %d, %v", len(allocs), err)
	list, _, err := s.Deployments(s.ctx, ghost, 0)
	s.say("deployments: %d, %v", len(list), err)
	const id = "27948b02-3e99-7089-ade2-b05b13eb0fac"
	_, err = s.Allocation(s.ctx, id)
	s.sayError("allocation", err)
	_, _, err = s.Evaluation(s.ctx, id, 0)
	s.sayError("evaluation", err)
	f, err := s.LastFailure(s.ctx, nil)
	s.say("failure: %v, %v", f, err)
}

func (s *script) refused() {
	j := s.job(idle)
	j.TaskGroups = nil
	_, err := s.Register(s.ctx, j, nil, 0)
	s.sayError("no groups", err)
	j = s.job(idle)
	j.Namespace = new("nope")
	_, err = s.Register(s.ctx, j, nil, 0)
	s.sayError("no such namespace", err)
	j = s.job(idle)
	j.ID = new("a b")
	_, err = s.Plan(s.ctx, j)
	s.sayError("a space in the name", err)
	j = s.job(idle)
	task(j).Driver = ""
	_, err = s.Plan(s.ctx, j)
	s.say("no driver: %s, says so %t", errorKind(err), strings.Contains(err.Error(), "Missing task driver"))
}

func (s *script) canary() {
	j := s.job(idle)
	j.Update.Canary = new(1)
	j.TaskGroups[0].Count = new(2)
	r := s.register(j, nil, 0)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	live := s.live(s.id())
	task(live).Env = map[string]string{"A": "1"}
	next := s.register(live, nil, r.JobModifyIndex)
	d := s.deployment(func(d *api.Deployment) bool {
		return d.JobSpecModifyIndex == next.JobModifyIndex && d.TaskGroups["g"].HealthyAllocs == 1
	})
	g := d.TaskGroups["g"]
	s.say("with a canary: %s (%s), canaries wanted %d, placed %d, promoted %t", d.Status, d.StatusDescription, g.DesiredCanaries, len(g.PlacedCanaries), g.Promoted)
	byVersion := map[uint64]int{}
	for _, a := range s.await(s.id(), func(allocs []*api.AllocationListStub) bool { return len(allocs) == 3 }) {
		byVersion[a.JobVersion]++
	}
	s.say("allocations by version: %v", byVersion)
	back := s.live(s.id())
	delete(task(back).Env, "A")
	last := s.register(back, nil, next.JobModifyIndex)
	s.sayDeployment(s.deployed(s.id(), last.JobModifyIndex))
	s.say("the canary's: %s", s.deployed(s.id(), next.JobModifyIndex).StatusDescription)
}

// deployment waits until one is as wanted.
func (s *script) deployment(wanted func(*api.Deployment) bool) *api.Deployment {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 40*time.Second)
	defer cancel()
	var index uint64
	for {
		list, next, err := s.Deployments(ctx, s.id(), index)
		if err != nil {
			s.t.Fatalf("waiting for a deployment: %v", err)
		}
		for _, d := range list {
			if wanted(d) {
				return d
			}
		}
		index = next
	}
}

func (s *script) noPlace() {
	j := s.job(idle)
	task(j).Resources.MemoryMB = new(9_999_999)
	r := s.register(j, nil, 0)
	e := s.evaluated(r.EvalID)
	m := e.FailedTGAllocs["g"]
	s.say("evaluation %s, blocked %t, queued %d", e.Status, e.BlockedEval != "", e.QueuedAllocations["g"])
	s.say("nodes looked at %d, exhausted %d, of what %v", m.NodesEvaluated, m.NodesExhausted, m.DimensionExhausted)
	s.sayJob(s.live(s.id()))
	b := must[*api.Evaluation](s)(first(s.Evaluation(s.ctx, e.BlockedEval, 0)))
	s.say("the next: %s, %s", b.Status, b.TriggeredBy)
}

func first[T any](v T, _ uint64, err error) (T, error) { return v, err }

func (s *script) noPool() {
	j := s.job(idle)
	j.NodePool = new("nope")
	_, err := s.Register(s.ctx, j, nil, 0)
	s.sayError("no such node pool", err)
	j.NodePool = new("all")
	s.register(j, nil, 0)
	s.status(s.id(), "running")
	s.say("in all pools: %s", *s.live(s.id()).NodePool)
}

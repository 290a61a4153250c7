package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// Nomad is what a doctor asks of the live side; *nomad.Client answers.
type Nomad interface {
	gates.Nomad
	Jobs(ctx context.Context, namespaces []string) ([]*api.JobListStub, error)
	Evaluations(ctx context.Context, id job.ID) ([]*api.Evaluation, error)
	Tail(ctx context.Context, alloc, task, stream string, lines int) ([]string, error)
}

// Doctor looks at jobs; it changes nothing.
type Doctor struct {
	Planner   *reconcile.Planner
	Nomad     Nomad
	Sync      reconcile.Sync // what apply would be allowed
	AskSudo   func(ctx context.Context, user, runas string, command []string) (gates.SudoSays, error)
	AgentUser string // whom Nomad's agent on this host runs as; empty: not known
	Here      string // the name of this host
	Now       func() time.Time
	GateTime  time.Duration // how long the gates of a job that runs may take
}

// How much is shown of what is not well.
const (
	mostAllocations = 3
	mostEvents      = 8
	mostLines       = 10
)

// ErrNoJob: neither a job file nor Nomad knows the job that was asked for.
var ErrNoJob = errors.New("no such job")

// Look reads what is known of the one job that is selected. What cannot be read is
// a fact as well; an error is what leaves nothing to tell.
func (d *Doctor) Look(ctx context.Context, sel reconcile.Selection) (Facts, reconcile.Result, error) {
	f := Facts{Now: d.Now()}
	result, err := d.plan(ctx, &f, sel)
	if err != nil {
		return f, result, err
	}
	if len(result.Plans) > 1 {
		return f, result, fmt.Errorf("that is %d jobs; doctor looks at one", len(result.Plans))
	}
	if len(result.Plans) == 1 {
		f.Plan, f.ID = &result.Plans[0], result.Plans[0].ID
	} else if len(sel.Jobs) == 1 {
		f.ID = idOf(sel.Jobs[0])
	} else {
		return f, result, ErrNoJob
	}
	if f.Fault == nil {
		d.live(ctx, &f)
	}
	if f.Plan == nil && f.Live == nil && f.Fault == nil {
		return f, result, ErrNoJob
	}
	d.sudo(ctx, &f)
	return f, result, ctx.Err()
}

func idOf(name string) job.ID {
	name, ns, _ := strings.Cut(name, "@")
	return job.ID{Namespace: cmp.Or(ns, job.DefaultNamespace), Name: name}
}

// plan asks what policies and apply make of the job. Where Nomad cannot be asked,
// the files alone are.
func (d *Doctor) plan(ctx context.Context, f *Facts, sel reconcile.Selection) (reconcile.Result, error) {
	result, err := d.Planner.Plan(ctx, sel, d.Sync)
	if err == nil && len(result.Plans) == 0 && len(sel.Jobs) > 0 {
		result, err = d.Planner.CheckLive(ctx, sel)
	}
	if err == nil || ctx.Err() != nil {
		return result, err
	}
	switch {
	case errors.Is(err, nomad.ErrUnreachable):
		f.Fault = err
	case errors.Is(err, nomad.ErrForbidden):
		f.unknown("what apply would do", err)
	default:
		return result, err
	}
	files := *d.Planner
	files.Nomad = nil
	return files.Plan(ctx, sel, d.Sync)
}

func (f *Facts) unknown(what string, err error) {
	text := fmt.Sprintf("%s: %v", what, err)
	if e, ok := errors.AsType[*nomad.Error](err); ok && e.Hint != "" {
		text += "; " + e.Hint
	}
	f.Unknown = append(f.Unknown, text)
}

// live reads the registered job and all that hangs on it.
func (d *Doctor) live(ctx context.Context, f *Facts) {
	live, err := reconcile.ReadLive(ctx, d.Planner.Nomad, f.ID)
	if errors.Is(err, nomad.ErrUnreachable) {
		f.Fault = err
		return
	}
	if err != nil {
		f.unknown("the live job", err)
	}
	if live == nil {
		return
	}
	f.Live, f.Allocations = live, live.Allocations
	of := f.ID
	if live.Job.Periodic != nil || live.Job.ParameterizedJob != nil {
		of = d.child(ctx, f)
	}
	if f.Evaluations, err = d.Nomad.Evaluations(ctx, of); err != nil {
		f.unknown("what the scheduler says", err)
	}
	d.deployment(ctx, f)
	d.tasks(ctx, f)
	d.gates(ctx, f)
}

// child is the newest launch of a periodic or parameterized job; the job itself
// where there is none.
func (d *Doctor) child(ctx context.Context, f *Facts) job.ID {
	all, err := d.Nomad.Jobs(ctx, []string{f.ID.Namespace})
	if err != nil {
		f.unknown("what it has launched", err)
		return f.ID
	}
	all = slices.DeleteFunc(all, func(s *api.JobListStub) bool { return s.ParentID != f.ID.Name })
	if len(all) == 0 {
		return f.ID
	}
	newest := slices.MaxFunc(all, func(a, b *api.JobListStub) int { return cmp.Compare(a.SubmitTime, b.SubmitTime) })
	f.Child = newest.ID
	id := job.ID{Namespace: f.ID.Namespace, Name: newest.ID}
	if f.Allocations, _, err = d.Nomad.Allocations(ctx, id, 0); err != nil {
		f.unknown("what "+newest.ID+" has run", err)
	}
	return id
}

func (d *Doctor) deployment(ctx context.Context, f *Facts) {
	all, _, err := d.Nomad.Deployments(ctx, f.ID, 0)
	if err != nil {
		f.unknown("the deployment", err)
	}
	for _, one := range all {
		if one.JobSpecModifyIndex == value(f.Live.Job.JobModifyIndex) {
			f.Deployment = one
			return
		}
	}
}

// hosts are the names of the nodes of the job's allocations, and of their hosts.
func (d *Doctor) hosts(ctx context.Context, f *Facts) map[string]string {
	out := map[string]string{}
	for _, a := range shown(f.Allocations) {
		if _, known := out[a.NodeName]; known || a.NodeID == "" {
			continue
		}
		out[a.NodeName] = a.NodeName
		node, err := d.Nomad.Node(ctx, a.NodeID)
		if err == nil {
			out[a.NodeName] = cmp.Or(node.Attributes["unique.hostname"], a.NodeName)
		}
	}
	return out
}

// shown are the allocations that are looked at: those that Nomad wants and has not
// replaced, or else the newest.
func shown(all []*api.AllocationListStub) []*api.AllocationListStub {
	newest := slices.Clone(all)
	slices.SortStableFunc(newest, func(a, b *api.AllocationListStub) int { return cmp.Compare(b.CreateIndex, a.CreateIndex) })
	var out []*api.AllocationListStub
	for _, a := range newest {
		if a.DesiredStatus == api.AllocDesiredStatusRun && a.NextAllocation == "" {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		out = newest[:min(1, len(newest))]
	}
	return out
}

// unwell: the allocation does not run, or not for long.
func unwell(a *api.AllocationListStub) bool {
	if s := a.DeploymentStatus; s != nil && s.Healthy != nil && !*s.Healthy {
		return true
	}
	switch a.ClientStatus {
	case api.AllocClientStatusComplete:
		return false
	case api.AllocClientStatusRunning:
		for _, t := range a.TaskStates {
			if t != nil && (t.Failed || t.Restarts > 0) {
				return true
			}
		}
		return false
	}
	return true
}

func (d *Doctor) tasks(ctx context.Context, f *Facts) {
	seen := map[string]bool{} // one of a group tells for the others
	for _, a := range shown(f.Allocations) {
		if !unwell(a) || seen[a.TaskGroup] || len(seen) == mostAllocations {
			continue
		}
		seen[a.TaskGroup] = true
		for _, name := range slices.Sorted(maps.Keys(a.TaskStates)) {
			if s := a.TaskStates[name]; s != nil && worthTelling(a, s) {
				f.Tasks = append(f.Tasks, d.task(ctx, f.Live.Job, a, name, s))
			}
		}
	}
}

// worthTelling: of an allocation with tasks that failed, those alone.
func worthTelling(a *api.AllocationListStub, s *api.TaskState) bool {
	bad := func(s *api.TaskState) bool { return s != nil && (s.Failed || s.Restarts > 0) }
	for _, other := range a.TaskStates {
		if bad(other) {
			return bad(s)
		}
	}
	return true
}

func (d *Doctor) task(ctx context.Context, j *api.Job, a *api.AllocationListStub, name string, s *api.TaskState) Task {
	t := Task{Alloc: a.ID, Node: a.NodeName, Name: name, State: s.State, Failed: s.Failed, Restarts: s.Restarts, Memory: memoryOf(j, name)}
	for _, e := range s.Events[max(0, len(s.Events)-mostEvents):] {
		t.Events = append(t.Events, eventOf(e))
	}
	var err error
	t.Stderr, err = d.Nomad.Tail(ctx, a.ID, name, "stderr", mostLines)
	if err != nil && !errors.Is(err, nomad.ErrNotFound) {
		t.NoStderr = err.Error()
		if e, ok := errors.AsType[*nomad.Error](err); ok && errors.Is(err, nomad.ErrForbidden) {
			t.NoStderr = e.Hint
		}
	}
	return t
}

func memoryOf(j *api.Job, task string) int {
	for _, g := range j.TaskGroups {
		for _, t := range g.Tasks {
			if t.Name == task && t.Resources != nil && t.Resources.MemoryMB != nil {
				return *t.Resources.MemoryMB
			}
		}
	}
	return 0
}

func eventOf(e *api.TaskEvent) Event {
	number := func(name string, otherwise int) int {
		if n, err := strconv.Atoi(e.Details[name]); err == nil {
			return n
		}
		return otherwise
	}
	return Event{
		Time: time.Unix(0, e.Time), Type: e.Type, Message: strings.TrimSuffix(strings.TrimSpace(cmp.Or(e.DisplayMessage, e.Message)), "."),
		Ended: e.Type == api.TaskTerminated, ExitCode: number("exit_code", e.ExitCode), Signal: number("signal", e.Signal), OOM: e.Details["oom_killed"] == "true",
	}
}

// gates asks those of the rollout, where the job runs by Nomad's account. What
// launches jobs or only watches a start is left out.
func (d *Doctor) gates(ctx context.Context, f *Facts) {
	runs := slices.ContainsFunc(shown(f.Allocations), func(a *api.AllocationListStub) bool { return a.ClientStatus == api.AllocClientStatusRunning })
	if f.Plan == nil || f.Live.State.Why != "" || !runs {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, d.GateTime)
	defer cancel()
	c := gates.Change{ID: f.ID, Job: f.Live.Job}
	list := slices.DeleteFunc(slices.Clone(f.Plan.Rollout.Gates), func(g policies.Gate) bool { return g.Kind == "dispatch" || g.Kind == "logs" || g.Kind == "sudoers" })
	results := make(chan indexed, len(list))
	for i, g := range list {
		go func() { results <- indexed{i, gates.Run(ctx, d.Nomad, c, g)} }()
	}
	f.Gates = make([]gates.Result, len(list))
	for range list {
		r := <-results
		f.Gates[r.i] = r.Result
	}
}

type indexed struct {
	i int
	gates.Result
}

// sudo looks at what the live job runs through sudo.
func (d *Doctor) sudo(ctx context.Context, f *Facts) {
	if f.Live == nil {
		return
	}
	var rollout policies.Rollout
	if f.Plan != nil {
		rollout = f.Plan.Rollout
	}
	f.Sudo = d.sudoOf(ctx, f.Live.Job, rollout, d.hosts(ctx, f))
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

package nomadtest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"
)

// The one node there is.
const (
	nodeID   = "4e6f6d61-6474-4573-8000-000000000001"
	nodeName = "nomadtest"
)

// alloc is an allocation with what runs it.
type alloc struct {
	*api.Allocation
	record *record
	slot   int
	canary bool          // beside the one that has its slot, until it is promoted
	before *alloc        // must have ended before this one starts
	done   chan struct{} // closed when all its tasks have ended
	cancel context.CancelFunc
	logs   map[string]*log // by task and stream

	healthy  *time.Timer // runs while it is steady and watched
	deadline *time.Timer // runs while a deployment waits for its health
	again    *time.Timer // runs until it is rescheduled
}

// steady tells whether all tasks that should run do.
func (a *alloc) steady() bool {
	g := groupOf(a.Job, a.TaskGroup)
	for _, t := range g.Tasks {
		st := a.TaskStates[t.Name]
		finished := t.Lifecycle != nil && st != nil && st.State == "dead" && !st.Failed
		if st == nil || st.State != "running" && !finished && !isHook(t, api.TaskLifecycleHookPoststop) {
			return false
		}
	}
	return true
}

func isHook(t *api.Task, hook string) bool { return t.Lifecycle != nil && t.Lifecycle.Hook == hook }

// start runs an allocation in the background.
func (s *Server) start(a *alloc, j *api.Job, g *api.TaskGroup) {
	ctx, cancel := context.WithCancel(s.ctx)
	a.cancel = cancel
	for _, t := range g.Tasks {
		a.TaskStates[t.Name] = &api.TaskState{State: "pending"}
		for _, stream := range []string{"stdout", "stderr"} {
			a.logs[t.Name+"."+stream] = newLog(s.logPath(a, t.Name, stream))
		}
	}
	s.running.Go(func() {
		defer close(a.done)
		defer cancel()
		if a.before != nil {
			<-a.before.done
		}
		run := &runner{server: s, alloc: a, job: j, group: g}
		run.all(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ctx.Err() == nil {
			s.ended(a)
		}
	})
}

// runner runs the tasks of one allocation.
type runner struct {
	server *Server
	alloc  *alloc
	job    *api.Job
	group  *api.TaskGroup
}

// all runs prestart tasks to their end, then the main tasks with the sidecars and
// poststart tasks, then poststop tasks.
func (r *runner) all(ctx context.Context) {
	var before, mains, beside, after []*api.Task
	for _, t := range r.group.Tasks {
		switch {
		case t.Lifecycle == nil:
			mains = append(mains, t)
		case isHook(t, api.TaskLifecycleHookPoststop):
			after = append(after, t)
		case isHook(t, api.TaskLifecycleHookPrestart) && !t.Lifecycle.Sidecar:
			before = append(before, t)
		default:
			beside = append(beside, t)
		}
		r.event(t, nil, newEvent(api.TaskReceived, "Task received by client", nil))
		r.event(t, nil, newEvent(api.TaskSetup, "Building Task Directory", map[string]string{"message": "Building Task Directory"}))
	}
	if !r.together(ctx, before, nil) || ctx.Err() != nil {
		r.neverRan(slices.Concat(mains, beside, after))
		return
	}
	r.together(ctx, mains, beside)
	r.together(r.server.ctx, after, nil)
}

// together runs tasks at once until the mains have ended; one that fails ends all.
func (r *runner) together(ctx context.Context, mains, beside []*api.Task) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var first, rest sync.WaitGroup
	var failed atomic.Bool
	run := func(t *api.Task) {
		if !r.task(ctx, t) {
			failed.Store(true)
			cancel()
		}
	}
	for _, t := range mains {
		first.Go(func() { run(t) })
	}
	for _, t := range beside {
		rest.Go(func() { run(t) })
	}
	first.Wait()
	cancel()
	rest.Wait()
	return !failed.Load()
}

func (r *runner) neverRan(tasks []*api.Task) {
	for _, t := range tasks {
		r.event(t, func(st *api.TaskState) { st.State = "dead"; st.FinishedAt = time.Now() }, newEvent(api.TaskKilled, "Task successfully killed", nil))
	}
}

// event changes a task's state, records why (where Nomad says why), and lets
// everything that depends on it follow.
func (r *runner) event(t *api.Task, change func(*api.TaskState), e *api.TaskEvent) {
	s, a := r.server, r.alloc
	s.mu.Lock()
	defer s.mu.Unlock()
	st := a.TaskStates[t.Name]
	if change != nil {
		change(st)
	}
	if e != nil {
		st.Events = append(st.Events, e)
		st.Events = st.Events[max(len(st.Events)-keptEvents, 0):]
	}
	a.ClientStatus, a.ClientDescription = clientStatus(a.TaskStates)
	a.ModifyIndex, a.ModifyTime = s.next(), time.Now().UnixNano()
	s.tellAlloc(a, allocationUpdated)
	if s.ctx.Err() == nil {
		s.watch(a)
		s.settle(a.record, allocationUpdated)
	}
}

// keptEvents is how many events of a task Nomad keeps.
const keptEvents = 10

func newEvent(kind, message string, details map[string]string) *api.TaskEvent {
	if details == nil {
		details = map[string]string{}
	}
	return &api.TaskEvent{Type: kind, Time: time.Now().UnixNano(), DisplayMessage: message, Details: details, Message: details["message"]}
}

func clientStatus(tasks map[string]*api.TaskState) (status, description string) {
	var pending, running, failed bool
	for _, st := range tasks {
		pending = pending || st.State == "pending"
		running = running || st.State == "running"
		failed = failed || st.State == "dead" && st.Failed
	}
	switch {
	case failed:
		return api.AllocClientStatusFailed, "Failed tasks"
	case running:
		return api.AllocClientStatusRunning, "Tasks are running"
	case pending:
		return api.AllocClientStatusPending, "No tasks have started"
	}
	return api.AllocClientStatusComplete, "All tasks have completed"
}

// ended follows the end of all tasks of an allocation.
func (s *Server) ended(a *alloc) {
	if delay, again := a.reschedule(); again && a.DesiredStatus == api.AllocDesiredStatusRun && a.ClientStatus == api.AllocClientStatusFailed {
		a.again = s.after(delay, func() { s.replace(a) })
	}
	s.settle(a.record, allocationUpdated)
}

// reschedule tells whether a failed allocation may be placed again, and when.
func (a *alloc) reschedule() (time.Duration, bool) {
	p := groupOf(a.Job, a.TaskGroup).ReschedulePolicy
	if isSystem(a.Job) || p == nil {
		return 0, false
	}
	used := 0
	if a.RescheduleTracker != nil {
		used = len(a.RescheduleTracker.Events)
	}
	delay := *p.Delay
	if *p.DelayFunction == "exponential" {
		for range min(used, 30) {
			delay = min(2*delay, *p.MaxDelay)
		}
	}
	return delay, *p.Unlimited || used < *p.Attempts
}

// replace places a failed allocation again, if it is still wanted.
func (s *Server) replace(a *alloc) {
	a.again = nil
	rec := a.record
	j := rec.versions[0]
	d := rec.deploymentOf(j)
	unwanted := *j.Stop || a.DesiredStatus != api.AllocDesiredStatusRun || groupOf(j, a.TaskGroup) == nil
	if unwanted || d != nil && d.Status == api.DeploymentStatusFailed {
		s.settle(rec, evaluationUpdated)
		return
	}
	s.stop(a, "")
	e := s.evaluate(rec, s.next(), "alloc-failure", allocationUpdated)
	i := slices.IndexFunc(rec.allocs, func(n *alloc) bool {
		return n.EvalID == e.ID && n.TaskGroup == a.TaskGroup && n.slot == a.slot
	})
	if i < 0 {
		return // the group has shrunk
	}
	next := rec.allocs[i]
	tracker := &api.RescheduleTracker{}
	if a.RescheduleTracker != nil {
		tracker.Events = slices.Clone(a.RescheduleTracker.Events)
	}
	tracker.Events = append(tracker.Events, &api.RescheduleEvent{RescheduleTime: time.Now().UnixNano(), PrevAllocID: a.ID, PrevNodeID: a.NodeID})
	next.RescheduleTracker = tracker
	next.PreviousAllocation, a.NextAllocation = a.ID, next.ID
}

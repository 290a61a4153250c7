// Package controller holds jobs continuously: it waits for something to move (a
// file, the clock), makes one pass over everything, and waits again. It decides
// nothing itself: a pass is the same observe .. apply that the verbs call.
package controller

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// Setup is all that a pass works with. It is loaded whole for each pass, or
// the last good one stays in force.
type Setup struct {
	Planner     *reconcile.Planner
	Applier     *reconcile.Applier
	Sync        reconcile.Sync
	Concurrency int           // runs at once
	MaxChanges  int           // jobs changed by one pass
	Interval    time.Duration // between full passes
	Settle      time.Duration // quiet time after a file event
	Watch       []string      // files and folders, absolute; folders with all that is below
}

// Agent is the loop.
type Agent struct {
	Load func() (Setup, error)
	Log  logr.Logger

	setup Setup
	told  told
	gone  map[job.ID]time.Time // when a job's file was first not there

	pruned time.Time // when the history was last pruned
}

// Run loops until ctx ends, and then until the runs under way have ended. The
// first load must succeed; later ones may fail and are logged.
func (a *Agent) Run(ctx context.Context) error {
	setup, err := a.Load()
	if err != nil {
		return err
	}
	a.setup, a.gone = setup, map[job.ID]time.Time{}
	w, err := newWatcher(a.Log)
	if err != nil {
		return err
	}
	defer w.close()
	a.Log.Info("started", "interval", setup.Interval.String(), "watching", setup.Watch)
	for {
		w.watch(a.setup.Watch)
		a.pass(ctx)
		why, ok := w.next(ctx, a.setup.Interval, a.setup.Settle)
		if !ok {
			a.Log.Info("stopped")
			return nil
		}
		a.Log.V(1).Info("pass", "because", why)
		a.reload()
	}
}

func (a *Agent) reload() {
	setup, err := a.Load()
	if err != nil {
		a.Log.Error(err, "the configuration or a policy does not load; what was loaded before stays in force")
		return
	}
	a.setup = setup
}

// pass settles what a crash left open, plans everything and applies what sync
// allows. Runs under way end even if ctx does.
func (a *Agent) pass(ctx context.Context) {
	a.settle(ctx)
	if ctx.Err() != nil {
		return
	}
	a.setup.Planner.Gone = a.grace()
	result, err := a.setup.Planner.Plan(ctx, reconcile.Selection{}, a.setup.Sync)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.Log.Error(err, "pass failed")
		return
	}
	a.noteGone(result.Plans)
	a.apply(ctx, result)
	a.prune(ctx)
}

func (a *Agent) settle(ctx context.Context) {
	open, err := a.setup.Applier.History.Unfinished()
	if err != nil {
		a.Log.Error(err, "the history cannot be read")
	}
	for _, run := range open {
		if ctx.Err() != nil {
			return
		}
		_, next, err := a.setup.Applier.History.Load(run.ID)
		if err != nil {
			a.Log.Error(err, "open run cannot be settled", "run", run.ID)
			continue
		}
		done, err := a.setup.Applier.Settle(context.WithoutCancel(ctx), run, a.setup.Planner.RolloutOf(next.Job), false)
		a.logRun("settled", run.Job, done, err)
	}
}

// grace counts passes for the planner. Passes that file events bring come close
// together, while somebody moves files about: until a whole interval has gone
// by, they are one.
func (a *Agent) grace() map[job.ID]int {
	passes := map[job.ID]int{}
	now := a.setup.Applier.Clock()
	for id, since := range a.gone {
		passes[id] = 1
		if now.Sub(since) >= a.setup.Interval {
			passes[id] = 2
		}
	}
	return passes
}

func (a *Agent) noteGone(plans []reconcile.Plan) {
	gone := map[job.ID]time.Time{}
	for _, p := range plans {
		if p.File != "" || p.Source != "" {
			continue
		}
		since, known := a.gone[p.ID]
		if !known {
			since = a.setup.Applier.Clock()
		}
		gone[p.ID] = since
	}
	a.gone = gone
}

// apply runs what is to be done until MaxChanges jobs were changed. A plan that
// turned out to be held has changed nothing, so another takes its place.
func (a *Agent) apply(ctx context.Context, result reconcile.Result) {
	todo, left := a.todo(result.Plans), a.setup.MaxChanges
	if !result.Proven {
		todo, left = a.oneFirst(ctx, todo, left)
	}
	for left > 0 && len(todo) > 0 && ctx.Err() == nil {
		n := min(left, len(todo))
		left -= a.batch(ctx, todo[:n])
		todo = todo[n:]
	}
	waiting := len(todo)
	if a.told.anew("max_changes", fmt.Sprint(waiting)) && waiting > 0 && ctx.Err() == nil {
		a.Log.Info("limits.max_changes reached: the rest waits for the next pass, or for `reconcile apply`", "max_changes", a.setup.MaxChanges, "waiting", waiting)
	}
}

// todo are the plans that do something; all are told of.
func (a *Agent) todo(plans []reconcile.Plan) []reconcile.Plan {
	var todo []reconcile.Plan
	for _, p := range plans {
		a.logPlan(p)
		if p.Does() {
			todo = append(todo, p)
		} else {
			a.told.forget("run " + p.ID.String())
		}
	}
	return todo
}

// batch carries plans out side by side and says how many jobs it has changed.
// What waits for its turn when ctx ends is not begun.
func (a *Agent) batch(ctx context.Context, plans []reconcile.Plan) int {
	var g errgroup.Group
	g.SetLimit(max(a.setup.Concurrency, 1))
	var changed atomic.Int64
	for _, p := range plans {
		g.Go(func() error {
			if ctx.Err() != nil {
				return nil
			}
			if a.carryOut(ctx, p).ID != "" {
				changed.Add(1)
			}
			return nil
		})
	}
	_ = g.Wait()
	return int(changed.Load())
}

// logPlan tells of a job when what is to be told has changed: nothing at idle.
func (a *Agent) logPlan(p reconcile.Plan) {
	actions := make([]string, len(p.Actions))
	for i, action := range p.Actions {
		actions[i] = string(action)
	}
	values := []any{"job", p.ID.String(), "condition", p.Condition, "file", p.File}
	if p.Source != "" {
		values = []any{"job", p.ID.String(), "condition", p.Condition, "source", p.Source}
	}
	if p.Reason != "" {
		values = append(values, "reason", p.Reason)
	}
	if len(actions) > 0 {
		values = append(values, "actions", actions)
	}
	if p.Hold != nil {
		values = append(values, "next", p.Hold.Next)
	}
	if len(p.Left) > 0 {
		values = append(values, "left", p.Left)
	}
	if !a.told.anew("decided "+p.ID.String(), fmt.Sprint(values...)) {
		a.Log.V(1).Info("decided", values...)
		return
	}
	a.Log.Info("decided", values...)
}

// logRun tells of every run; of a job that nothing could be done to, only when
// the reason has changed. After a run a decision is news again, even the same.
func (a *Agent) logRun(what string, id job.ID, run history.Run, err error) {
	values := []any{"job", id.String(), "run", run.ID, "result", run.Result, "reason", run.Reason}
	if run.ID != "" {
		a.told.forget("decided "+id.String(), what+" "+id.String())
	} else if !a.told.anew(what+" "+id.String(), fmt.Sprint(run.Reason, err)) {
		return
	}
	var stale *reconcile.StaleError
	var busy *history.BusyError
	switch {
	case errors.As(err, &stale), errors.As(err, &busy):
		a.Log.Info("not now", "reason", err.Error())
	case err != nil:
		a.Log.Error(err, what, values...)
	default:
		a.Log.Info(what, values...)
	}
}

// Package controller holds jobs continuously: it waits for something to move (a
// file, the clock), makes one pass over everything, and waits again. It decides
// nothing itself: a pass is the same observe .. apply that the verbs call.
package controller

import (
	"context"
	"errors"
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
	last  map[job.ID]string // what was last logged of each job
	gone  map[job.ID]int    // passes since a job's file was last seen
}

// Run loops until ctx ends, and then until the runs under way have ended. The
// first load must succeed; later ones may fail and are logged.
func (a *Agent) Run(ctx context.Context) error {
	setup, err := a.Load()
	if err != nil {
		return err
	}
	a.setup, a.last, a.gone = setup, map[job.ID]string{}, map[job.ID]int{}
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
	a.setup.Planner.Gone = a.gone
	result, err := a.setup.Planner.Plan(ctx, reconcile.Selection{}, a.setup.Sync)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		a.Log.Error(err, "pass failed")
		return
	}
	a.countGone(result.Plans)
	a.apply(ctx, result.Plans)
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
		a.logRun("settled", done, err)
	}
}

func (a *Agent) countGone(plans []reconcile.Plan) {
	gone := map[job.ID]int{}
	for _, p := range plans {
		if p.Condition == reconcile.Orphan {
			gone[p.ID] = a.gone[p.ID] + 1
		}
	}
	a.gone = gone
}

func (a *Agent) apply(ctx context.Context, plans []reconcile.Plan) {
	var g errgroup.Group
	g.SetLimit(max(a.setup.Concurrency, 1))
	changes, put := 0, 0
	for _, p := range plans {
		a.logPlan(p)
		if !p.Does() || ctx.Err() != nil {
			continue
		}
		if changes++; changes > a.setup.MaxChanges {
			put++
			continue
		}
		g.Go(func() error {
			run, err := a.setup.Applier.Apply(context.WithoutCancel(ctx), p)
			a.logRun("run", run, err)
			return nil
		})
	}
	_ = g.Wait()
	if put > 0 {
		a.Log.Info("limits.max_changes reached: the rest waits for the next pass, or for `reconcile apply`", "max_changes", a.setup.MaxChanges, "waiting", put)
	}
}

// logPlan tells of a job when what is to be told has changed: nothing at idle.
func (a *Agent) logPlan(p reconcile.Plan) {
	actions := make([]string, len(p.Actions))
	for i, action := range p.Actions {
		actions[i] = string(action)
	}
	values := []any{"job", p.ID.String(), "condition", p.Condition, "file", p.File}
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
	told := string(p.Condition) + "\x00" + p.Reason
	if a.last[p.ID] == told && len(actions) == 0 {
		a.Log.V(1).Info("decided", values...)
		return
	}
	a.last[p.ID] = told
	a.Log.Info("decided", values...)
}

func (a *Agent) logRun(what string, run history.Run, err error) {
	values := []any{"job", run.Job.String(), "run", run.ID, "result", run.Result, "reason", run.Reason}
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

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// startOpen settles what a crash has left open, before anything else is changed.
func (a *Agent) startOpen(ctx context.Context) {
	for len(a.open) > 0 && a.running < max(a.setup.Concurrency, 1) {
		run := a.open[0]
		a.open = a.open[1:]
		if !a.queue.claim(key{id: run.Job}, a.now()) {
			continue // a look is under way, which finds it again
		}
		a.running++
		go a.settle(ctx, run, a.setup)
	}
}

func (a *Agent) settle(ctx context.Context, open history.Run, setup Setup) {
	run, err := settle(ctx, open, setup)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended(open.Job, "settled", run, err)
	a.provedElsewhere(run)
	if busy := (*history.BusyError)(nil); err != nil && !errors.As(err, &busy) && !run.Open {
		a.queue.retry(key{id: open.Job}, a.now())
	}
}

func settle(ctx context.Context, open history.Run, setup Setup) (history.Run, error) {
	_, next, err := setup.Applier.History.Load(open.ID)
	if err != nil {
		return history.Run{}, err
	}
	return setup.Applier.Settle(ctx, open, setup.Planner.RolloutOf(next.Job), false)
}

// start begins a run. A job that was suspended while others had their turn is left
// alone.
func (a *Agent) start(ctx context.Context, id job.ID, c candidate) {
	if !a.queue.claim(key{id: id}, a.now()) {
		return
	}
	a.running++
	a.setRunning(id, true)
	trying := a.trying && !a.trial.Proven && c.plan.Will(reconcile.Register)
	go a.run(ctx, id, c.plan, a.setup.Applier, a.pass.number, trying)
}

func (a *Agent) run(ctx context.Context, id job.ID, p reconcile.Plan, applier *reconcile.Applier, batch int, trying bool) {
	suspended, err := applier.History.Suspensions()
	run := history.Run{Job: id, Result: history.Held, Reason: "it was suspended meanwhile"}
	if err == nil && !holds(suspended, id) {
		run, err = applier.Apply(ctx, p)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if (run.ID == "" || idle(run)) && a.pass.number == batch {
		a.pass.left++ // it takes no place from others of its pass
	}
	a.ended(id, "run", run, err)
	if trying {
		a.proved(run)
	}
}

// idle: nothing that the run set out to do was done, such as where a file may not be
// written.
func idle(run history.Run) bool {
	return !run.Open && !slices.ContainsFunc(run.Steps, func(s history.Step) bool { return s.Result == history.OK })
}

// ended notes what became of a run, and asks for a look at what it has made.
func (a *Agent) ended(id job.ID, what string, run history.Run, err error) {
	defer a.wake()
	defer a.changed()
	a.running--
	a.queue.done(key{id: id}, a.now())
	a.logRun(what, id, run, err)
	k := a.jobs[id]
	a.setRunning(id, false)
	var stale *reconcile.StaleError
	switch {
	case errors.As(err, &stale):
		a.push(id)
	case err != nil && !run.Open:
		a.queue.retry(key{id: id}, a.now())
		a.Metrics.Retried()
	case run.ID == "": // held, and nothing was touched: it is tried in the next full pass
		if k != nil {
			k.status.Condition, k.status.Reason, k.again = reconcile.Held, run.Reason, true
		}
	default:
		a.Metrics.Run(run)
		if k != nil {
			if k.status.LastRun = &run; run.Result == history.Converged && !k.moved.IsZero() {
				a.Metrics.Converged(a.now().Sub(k.moved))
			}
			k.moved, k.told = time.Time{}, ""
			a.putOff(k, run)
		}
		if run.Open { // what kept it from its end may keep it again
			a.queue.retry(key{id: id}, a.now())
			return
		}
		a.queue.succeeded(key{id: id})
		a.push(id)
	}
}

// putOff keeps a change from being tried again at once that came to nothing for a reason
// that no gate has given, such as a file that cannot be written. A gate's word holds the
// job until something moves.
func (a *Agent) putOff(k *known, run history.Run) {
	if run.Result != history.RolledBack && run.Result != history.Failed || run.FailedGate() {
		k.failures, k.notBefore = 0, time.Time{}
		return
	}
	k.notBefore = a.now().Add(backoff(k.failures))
	k.failures++
	a.Metrics.Retried()
}

// logRun tells of every run; of a job that nothing could be done to, only when the
// reason has changed.
func (a *Agent) logRun(what string, id job.ID, run history.Run, err error) {
	values := []any{"job", id.String(), "run", run.ID, "result", run.Result, "reason", run.Reason}
	if run.ID != "" {
		a.told.forget(what + " " + id.String())
	} else if !a.told.anew(what+" "+id.String(), fmt.Sprint(run.Reason, err)) {
		return
	}
	var stale *reconcile.StaleError
	var busy *history.BusyError
	switch {
	case run.Open && errors.Is(err, context.Canceled):
		a.Log.Info("parked: the next start finishes or undoes it", "job", id.String(), "run", run.ID)
	case errors.As(err, &stale), errors.As(err, &busy):
		a.Log.Info("not now", "job", id.String(), "reason", err.Error())
	case err != nil:
		a.Log.Error(err, what, values...)
	default:
		a.Log.Info(what, append(values, "revision", short(run.Basis.Revision()))...)
	}
}

package controller

import (
	"context"
	"slices"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// oneFirst proves a new revision of the policies: of the plans that register a job
// one is carried out alone, and only when it has converged are the others returned,
// with what is left of the changes that may be made. If a gate fails, the revision
// is paused: the next pass holds every job for it. A run that ended otherwise, or
// never began, says nothing of the policies, so the next plan is tried. Edits of files
// alone have no gates that could prove anything, and need no proof.
func (a *Agent) oneFirst(ctx context.Context, todo []reconcile.Plan, left int) ([]reconcile.Plan, int) {
	for left > 0 && ctx.Err() == nil {
		i := slices.IndexFunc(todo, func(p reconcile.Plan) bool { return p.Will(reconcile.Register) })
		if i < 0 {
			return todo, left
		}
		run := a.carryOut(ctx, todo[i])
		todo = slices.Delete(todo, i, i+1)
		if run.ID == "" {
			continue
		}
		left--
		if run.Result == history.Converged {
			return todo, left
		}
		if run.Open || run.FailedGate() {
			a.Log.Info("the first run under this revision of the policies has not converged: the others wait", "job", run.Job.String(), "run", run.ID, "waiting", len(todo))
			return nil, 0
		}
	}
	return todo, left
}

// carryOut applies one plan, to its end. A job that was suspended while the pass was
// busy with others is left alone.
func (a *Agent) carryOut(ctx context.Context, p reconcile.Plan) history.Run {
	suspended, err := a.setup.Applier.History.Suspensions()
	i := slices.IndexFunc(suspended, func(s history.Suspension) bool { return s.Holds(p.ID) })
	run := history.Run{Job: p.ID, Result: history.Held, Reason: "it was suspended meanwhile"}
	if err == nil && i < 0 {
		run, err = a.setup.Applier.Apply(context.WithoutCancel(ctx), p)
	}
	a.logRun("run", p.ID, run, err)
	return run
}

// pruneEvery is how often the agent looks for runs that are too old.
const pruneEvery = time.Hour

// prune removes old runs also of jobs that are not run any more.
func (a *Agent) prune(ctx context.Context) {
	now := a.setup.Applier.Clock()
	if now.Sub(a.pruned) < pruneEvery {
		return
	}
	a.pruned = now
	if err := a.setup.Applier.History.Prune(ctx); err != nil && ctx.Err() == nil {
		a.Log.Error(err, "old runs cannot be removed")
	}
}

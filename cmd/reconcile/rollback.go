package main

import (
	"context"
	"fmt"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

func runRollback(in *invocation) int {
	var configFile string
	var yes, asJSON bool
	declareConfig(in.flags, &configFile)
	in.flags.BoolVar(&yes, "auto-approve", false, "do not ask")
	in.flags.BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	code, ok := in.parse("RUN", `
		Brings file and job back to before a run that reconcile history lists; the
		beginning of its name is enough. It shows first what it would do. A rollback is
		never undone in turn: if the job is not healthy afterwards, it says so.`)
	if !ok {
		return code
	}
	if len(in.args) != 1 {
		return in.misuse("rollback takes one run; `reconcile history` lists them.")
	}
	ctx, stop := interruptible()
	defer stop()
	s, err := in.open(wants{config: configFile}, true)
	if err != nil {
		return in.refuse(err)
	}
	past, err := s.store.Find(in.args[0])
	if err != nil {
		return in.refuse(err)
	}
	progress := report.NewProgress(in.stderr, in.err, in.live)
	defer progress.Close()
	applier := s.applier(in, "rollback", progress)
	if past.Open {
		return in.undo(ctx, s, applier, past, yes, asJSON)
	}
	plan, err := s.planner.PlanRollback(ctx, past.ID)
	if err != nil {
		return in.refuse(err)
	}
	plans := []reconcile.Plan{plan}
	if !asJSON {
		report.Plans(in.stdout, plans, applying(in.out, true))
	}
	in.args = []string{plan.ID.Name}
	if err := in.approve(s, plans, yes, asJSON); err != nil {
		return in.refuse(err)
	}
	runs, code := in.applyAll(ctx, applier, plans, 1)
	progress.Close()
	return worst(code, in.showRuns(runs, asJSON))
}

// undo: a run that has not ended is undone by settling it backwards.
func (in *invocation) undo(ctx context.Context, s *session, a *reconcile.Applier, open history.Run, yes, asJSON bool) int {
	if !yes {
		if !in.interactive {
			return in.fail(fmt.Errorf("run %s is open, and nobody can be asked here whether to undo it: %s", open.ID, in.approved()))
		}
		if err := in.ask("Undo the open run " + open.ID + "?"); err != nil {
			return in.refuse(err)
		}
	}
	_, next, err := s.store.Load(open.ID)
	if err != nil {
		return in.refuse(err)
	}
	done, err := a.Settle(ctx, open, s.planner.RolloutOf(next.Job), true)
	if err != nil {
		return in.refuse(err)
	}
	code := in.showRuns([]history.Run{done}, asJSON)
	if code == exitRolledBack { // it was asked for
		return exitOK
	}
	return code
}

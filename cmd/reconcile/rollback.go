package main

import (
	"context"
	"fmt"
	"strings"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

func runRollback(in *invocation) int {
	var configFile string
	var yes, asJSON bool
	declareConfig(in.flags, &configFile)
	in.flags.BoolVar(&yes, "auto-approve", false, "do not ask")
	in.flags.BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	code, ok := in.parse("RUN...", `
		Brings file and job back to before a run that reconcile history lists; the
		beginning of its name is enough. It shows first what it would do. Several runs
		are rolled back in the reverse order of their start; the first that fails ends
		it. A rollback is never undone in turn: if the job is not healthy afterwards, it
		says so.`)
	if !ok {
		return code
	}
	if len(in.args) == 0 {
		return in.misuse("rollback takes the runs to go back before; `reconcile history` lists them.")
	}
	ctx, stop := interruptible()
	defer stop()
	s, err := in.open(wants{config: configFile}, true)
	if err != nil {
		return in.refuse(err)
	}
	progress := report.NewProgress(in.stderr, in.err, in.live)
	defer progress.Close()
	applier := s.applier(in, "rollback", progress)
	if len(in.args) == 1 {
		past, err := s.store.Find(in.args[0])
		if err != nil {
			return in.refuse(err)
		}
		if past.Open {
			return in.undo(ctx, s, applier, past, yes, asJSON)
		}
	}
	return in.rollBack(ctx, s, applier, progress, yes, asJSON)
}

// rollBack shows the plans of the runs that were named, asks, and does them.
func (in *invocation) rollBack(ctx context.Context, s *session, a *reconcile.Applier, progress *report.Progress, yes, asJSON bool) int {
	plans, err := s.planner.PlanRollbacks(ctx, in.args)
	if err != nil {
		return in.refuse(err)
	}
	if !asJSON {
		report.Plans(in.stdout, plans, applying(in.out, true))
	}
	plans, left := heldOnes(plans)
	if err := in.approve(s, plans, yes, asJSON); err != nil {
		return in.refuse(err)
	}
	runs, more, code := in.goBack(ctx, s, a, plans)
	progress.Close()
	code = worst(code, in.showRuns(runs, asJSON))
	if left = append(left, more...); len(left) > 0 {
		in.printErr("Not rolled back: %s. When that is mended: reconcile rollback %s\n", strings.Join(left, ", "), strings.Join(left, " "))
	}
	return code
}

// heldOnes: where one of the runs cannot be rolled back, none is; left are the others.
func heldOnes(plans []reconcile.Plan) (todo []reconcile.Plan, left []string) {
	for _, p := range plans {
		if p.Hold != nil {
			todo = append(todo, p)
		} else {
			left = append(left, p.Undoes())
		}
	}
	if len(todo) == 0 {
		return plans, nil
	}
	return todo, left
}

// goBack rolls back one run after the other, until one does not end well; left are
// that one, unless it has been tried, and those after it.
func (in *invocation) goBack(ctx context.Context, s *session, a *reconcile.Applier, plans []reconcile.Plan) (runs []history.Run, left []string, code int) {
	seen := map[job.ID]bool{}
	for i, p := range plans {
		expected := p.Hold != nil
		if seen[p.ID] { // it was planned for what the run before it was to leave
			again, err := s.planner.PlanRollback(ctx, p.Undoes())
			if err != nil {
				return runs, undone(plans[i:]), in.fail(err)
			}
			p = again
		}
		seen[p.ID] = true
		done, code := in.applyAll(ctx, a, []reconcile.Plan{p}, 1)
		runs = append(runs, done...)
		if code != exitOK {
			return runs, undone(plans[i:]), code
		}
		if len(done) == 0 || runCode(done[0].Result) != exitOK && !expected {
			return runs, undone(plans[i+1:]), code
		}
	}
	return runs, nil, exitOK
}

func undone(plans []reconcile.Plan) []string {
	out := make([]string, len(plans))
	for i, p := range plans {
		out[i] = p.Undoes()
	}
	return out
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

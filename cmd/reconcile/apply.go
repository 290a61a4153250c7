package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

func runApply(in *invocation) int {
	var f planFlags
	var yes bool
	var planFile string
	f.declare(in.flags)
	in.flags.StringVar(&planFile, "plan", "", "apply the plan that reconcile plan -out saved as `FILE`, without asking; refused if anything that it was made from moved")
	in.flags.BoolVar(&yes, "auto-approve", false, "do not ask")
	code, ok := in.parse("[JOB|FILE...]", `
		Does what reconcile plan shows with the same arguments, after asking. Each job is a
		run of its own: backup, write, register with check-and-set, gates; a gate that
		fails puts file and job back. A run that a crash left open is settled first.`)
	if !ok {
		return code
	}
	ctx, stop := interruptible()
	defer stop()
	var saved *savedPlan
	if planFile != "" {
		var err error
		if saved, err = in.openSaved(planFile, &f); err != nil {
			return in.refuse(err)
		}
		yes = true // whoever hands it over has seen it
	}
	s, err := in.openAsked(saved, f)
	if err != nil {
		return in.refuse(err)
	}
	progress := report.NewProgress(in.stderr, in.err, in.live)
	defer progress.Close()
	applier := s.applier(in, "apply", progress)
	settled, settleCode := in.settleOpen(ctx, s, applier)
	plans, code, err := in.planToApply(ctx, s, f, settled)
	if err != nil {
		return in.refuse(err)
	}
	if !f.json {
		report.Plans(in.stdout, plans, applying(in.out, true))
	}
	if err := in.approve(s, plans, yes, f.json); err != nil {
		return in.refuse(err)
	}
	runs, applyCode, err := in.carryOut(ctx, s, f, applier, plans, progress)
	progress.Close()
	if err != nil {
		return in.refuse(err)
	}
	if s.config.State.KeepFor > 0 {
		_ = s.store.Prune(ctx) // what is left over is tried again by the next
	}
	if runs = append(settled, runs...); len(runs) == 0 && applyCode != exitOK && !f.json {
		return worst(code, settleCode, applyCode) // the error has said it all
	}
	// A job that is denied keeps its code also where its file got other fixes.
	return worst(code, settleCode, applyCode, planCode(plans, false), in.showRuns(runs, f.json))
}

// carryOut does what was approved, or has the agent do it that holds the state folder.
func (in *invocation) carryOut(ctx context.Context, s *session, f planFlags, a *reconcile.Applier, plans []reconcile.Plan, progress *report.Progress) ([]history.Run, int, error) {
	if slices.ContainsFunc(plans, reconcile.Plan.Does) {
		agent := agentOf(s.project)
		if running, err := agent.running(ctx); err != nil {
			return nil, exitError, err
		} else if running {
			return in.handOver(ctx, agent, s, f, plans, progress)
		}
	}
	runs, code := in.applyAll(ctx, a, plans, s.config.Limits.Concurrency)
	return runs, code, nil
}

func (in *invocation) showRuns(runs []history.Run, asJSON bool) int {
	if asJSON {
		if err := report.RunsJSON(in.stdout, runs); err != nil {
			return in.fail(err)
		}
	} else {
		report.Runs(in.stdout, runs, in.out)
	}
	codes := make([]int, len(runs))
	for i, r := range runs {
		codes[i] = runCode(r.Result)
	}
	return worst(codes...)
}

func runCode(r history.Result) int {
	switch r {
	case history.Held:
		return exitHeld
	case history.Denied:
		return exitDenied
	case history.RolledBack:
		return exitRolledBack
	case history.Failed:
		return exitFailed
	}
	return exitOK
}

func (s *session) applier(in *invocation, kind string, progress *report.Progress) *reconcile.Applier {
	a := &reconcile.Applier{Nomad: s.client, History: s.store, Kind: kind, By: in.who(), Beside: s.config.Backup.Beside, Clock: in.now}
	if progress != nil {
		a.Progress = progress.Event
	}
	return a
}

// settleOpen finishes or undoes what a crash left open, before anything is planned.
func (in *invocation) settleOpen(ctx context.Context, s *session, a *reconcile.Applier) ([]history.Run, int) {
	open, err := s.store.Unfinished()
	code := exitOK
	if err != nil {
		code = in.fail(err)
	}
	var settled []history.Run
	for _, run := range open {
		done, err := in.settle(ctx, s, a, run)
		var busy *history.BusyError
		switch {
		case errors.As(err, &busy):
			in.printErr("Run %s is under way: %v.\n", run.ID, err)
		case err != nil:
			code = in.fail(err)
		default:
			settled = append(settled, done)
		}
	}
	return settled, code
}

func (in *invocation) settle(ctx context.Context, s *session, a *reconcile.Applier, open history.Run) (history.Run, error) {
	_, next, err := s.store.Load(open.ID)
	if err != nil {
		return history.Run{}, err
	}
	return a.Settle(ctx, open, s.planner.RolloutOf(next.Job), false)
}

// approve asks on a terminal; elsewhere somebody has to have said yes before.
func (in *invocation) approve(s *session, plans []reconcile.Plan, yes, asJSON bool) error {
	changes := 0
	for _, p := range plans {
		if p.Does() {
			changes++
		}
	}
	switch {
	case changes == 0:
		return nil
	case yes && len(in.args) == 0 && changes > s.config.Limits.MaxChanges:
		return fmt.Errorf("%d jobs would change and limits.max_changes is %d; name the jobs, as in `%s JOB JOB`", changes, s.config.Limits.MaxChanges, s.named())
	case yes:
		return nil
	case !in.interactive || asJSON:
		return fmt.Errorf("this would change something and nobody can be asked here: %s", in.approved())
	}
	return in.ask(fmt.Sprintf("Change %d job(s)?", changes))
}

// named is the command that takes the names of many jobs.
func (s *session) named() string {
	if s.saved != nil {
		return "reconcile plan -out " + s.saved.path
	}
	return "reconcile apply -auto-approve"
}

// approved is what to type to have said yes.
func (in *invocation) approved() string {
	return strings.Join(append([]string{"reconcile", in.flags.Name(), "-auto-approve"}, in.raw...), " ")
}

func (in *invocation) ask(question string) error {
	in.print("\n%s Only \"yes\" is a yes: ", question)
	answer, err := bufio.NewReader(in.stdin).ReadString('\n')
	if err == nil && strings.TrimSpace(answer) == "yes" {
		return nil
	}
	return errors.New("not approved; nothing was changed")
}

// applyAll runs the plans, a few at a time; the runs come back in the plans' order.
func (in *invocation) applyAll(ctx context.Context, a *reconcile.Applier, plans []reconcile.Plan, concurrency int) ([]history.Run, int) {
	runs := make([]*history.Run, len(plans))
	codes := make([]int, len(plans))
	var g errgroup.Group
	g.SetLimit(max(concurrency, 1))
	var printing sync.Mutex
	for i, p := range plans {
		g.Go(func() error {
			if ctx.Err() != nil && p.Does() {
				codes[i] = exitError
				return nil
			}
			run, err := a.Apply(ctx, p)
			if err == nil || run.Open {
				runs[i] = &run
			}
			if err != nil {
				printing.Lock()
				defer printing.Unlock()
				codes[i] = in.fail(err)
			}
			return nil
		})
	}
	_ = g.Wait()
	var out []history.Run
	for _, r := range runs {
		if r != nil {
			out = append(out, *r)
		}
	}
	return slices.Clip(out), worst(codes...)
}

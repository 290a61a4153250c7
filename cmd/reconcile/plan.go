package main

import (
	"context"
	"errors"
	"flag"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/config"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/nomad"
)

// planFlags are what plan and apply share: with the same arguments the one
// shows what the other would do.
type planFlags struct {
	config                     string
	json                       bool
	correctDrift, start, rerun bool
}

func (f *planFlags) declare(fs *flag.FlagSet) {
	declareConfig(fs, &f.config)
	fs.BoolVar(&f.json, "json", false, "print one JSON object instead of text")
	fs.BoolVar(&f.correctDrift, "correct-drift", false, "register the file's job also where it differs from the live one without a finding")
	fs.BoolVar(&f.start, "start", false, "start jobs that an operator stopped")
	fs.BoolVar(&f.rerun, "rerun", false, "register batch jobs, which runs them again")
}

func declareConfig(fs *flag.FlagSet, into *string) {
	fs.StringVar(into, "config", defaultConfig, "the configuration `FILE`")
}

// syncOf is what a person may do: what reconcile.hcl lets the agent do, and
// what the command line lifts.
func (f *planFlags) syncOf(c *config.Config) reconcile.Sync {
	s := reconcile.Sync{
		Fix: true, Drift: c.Sync.Drift, Create: c.Sync.Create, Prune: c.Sync.Prune,
		Person: true, Start: f.start, Rerun: f.rerun,
	}
	if f.correctDrift {
		s.Drift = reconcile.Correct
	}
	return s
}

// session is a project with its connections.
type session struct {
	*project
	client  *nomad.Client
	store   *history.Store
	planner *reconcile.Planner
	sel     reconcile.Selection
	saved   *savedPlan // what is applied; nil where it is planned afresh
}

func (in *invocation) open(w wants, remember bool) (*session, error) {
	p, err := in.load(w)
	if err != nil {
		return nil, err
	}
	s := &session{project: p}
	if s.client, err = p.connect(); err != nil {
		return nil, err
	}
	if remember {
		if s.store, err = p.history(in.shell); err != nil {
			return nil, err
		}
	}
	s.planner = p.planner(in.shell, s.client, s.store)
	if len(w.policies) == 0 {
		s.sel, err = p.selection(w.args)
	}
	return s, err
}

// plan makes the plans; what is wrong with files and policies is printed.
func (in *invocation) plan(ctx context.Context, s *session, sync reconcile.Sync) (reconcile.Result, int, error) {
	result, err := s.planner.Plan(ctx, s.sel, sync)
	if err == nil && s.saved == nil { // else the comparison tells it
		err = in.unknown(s.sel, result)
	}
	if err != nil {
		return reconcile.Result{}, exitError, err
	}
	return result, in.mistakes(result.Diagnostics, result.Sources), nil
}

func runPlan(in *invocation) int {
	var f planFlags
	var policy repeated
	var detailed bool
	var out string
	f.declare(in.flags)
	in.flags.Var(&policy, "policy", "a policy `FILE` or folder, or library:NAME, instead of a configuration; may be repeated")
	in.flags.BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 if there is something to do or to report")
	in.flags.StringVar(&out, "out", "", "also save the plan as `FILE`, for reconcile apply -plan FILE; it may hold secrets")
	code, ok := in.parse("[JOB|FILE...]", `
		Shows, for every job or those named, what does not hold and what would be done:
		findings with their source lines, the file diff, the live diff, the steps, the
		gates, and what a failure does. Nothing is changed.`)
	if !ok {
		return code
	}
	if out != "" {
		if len(policy) > 0 {
			return in.misuse("-out needs a configuration, as apply does; leave -policy away.")
		}
		if err := outFile(out); err != nil {
			return in.refuse(err)
		}
	}
	ctx, stop := interruptible()
	defer stop()
	defer in.giveUp(ctx)()
	s, err := in.open(wants{config: f.config, policies: policy, args: in.args}, len(policy) == 0)
	if err != nil {
		return in.refuse(err)
	}
	s.planner.ReadOnly = out == ""
	result, code, err := in.plan(ctx, s, f.syncOf(s.config))
	if err != nil {
		return in.refuse(err)
	}
	if len(in.args) == 0 {
		in.mistakes(matchless(result.Unmatched), withPolicies(nil, s.policies))
	}
	ending := report.DueExceptions(s.policies.Exceptions(), in.now())
	if f.json {
		if err := report.PlansJSON(in.stdout, result.Plans, result.Skipped, ending); err != nil {
			return in.refuse(err)
		}
	} else {
		style := in.out
		if out != "" {
			style.Do = "reconcile apply -plan " + out
		}
		report.Plans(in.stdout, result.Plans, style)
		report.Skipped(in.stdout, result.Skipped, in.out)
		report.Exceptions(in.stdout, ending, in.out)
	}
	if out != "" {
		if err := in.save(s, out, f, result.Plans); err != nil {
			return in.refuse(err)
		}
	}
	return worst(code, planCode(result.Plans, detailed))
}

// refuse prints an error unless it was shown already.
func (in *invocation) refuse(err error) int {
	if errors.Is(err, errShown) {
		return exitError
	}
	return in.fail(err)
}

func planCode(plans []reconcile.Plan, detailed bool) int {
	codes := make([]int, 0, len(plans))
	for _, p := range plans {
		switch p.Condition {
		case reconcile.Denied:
			codes = append(codes, exitDenied)
		case reconcile.Failed:
			codes = append(codes, exitFailed)
		case reconcile.Held, reconcile.Converging:
			codes = append(codes, exitHeld)
		case reconcile.OutOfSync, reconcile.Orphan:
			if detailed {
				codes = append(codes, exitChanges)
			}
		}
	}
	return worst(codes...)
}

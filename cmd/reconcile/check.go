package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// shortLivedGC: a check lives for a moment and keeps little, so it collects garbage
// seldom. What a parsed file leaves behind is some 300 KB.
const shortLivedGC = 400

func runCheck(in *invocation) int {
	var configFile, format string
	var policy repeated
	var fix bool
	declareConfig(in.flags, &configFile)
	in.flags.Var(&policy, "policy", "a policy `FILE` or folder, instead of a configuration; may be repeated")
	in.flags.StringVar(&format, "format", "text", "how findings are printed: `text|json`")
	in.flags.BoolVar(&fix, "fix", false, "edit the files: make every fixable finding hold")
	code, ok := in.parse("[FILE|FOLDER|JOB...]", `
		Holds job files against policies, without Nomad: for editors, hooks and CI. Exits
		with 3 if a finding denies. A job file that does not parse is an error.`)
	if !ok {
		return code
	}
	if format != "text" && format != "json" {
		return in.misuse("-format is text or json, not %q.", format)
	}
	ctx, stop := interruptible()
	defer stop()
	w := wants{configFile, policy, in.args}
	p, err := in.load(w)
	if err != nil {
		return in.refuse(err)
	}
	var sel reconcile.Selection
	if len(policy) == 0 {
		if sel, err = p.selection(in.args); err != nil {
			return in.refuse(err)
		}
	}
	planner := p.planner(in.shell, nil, nil)
	planner.ReadOnly = !fix
	debug.SetGCPercent(shortLivedGC)
	result, err := planner.Plan(ctx, sel, reconcile.Sync{Fix: true, Person: true})
	if err == nil {
		err = in.unknown(sel, result)
	}
	if err != nil {
		return in.refuse(err)
	}
	code = in.mistakes(result.Diagnostics, result.Sources)
	if fix {
		code = worst(code, in.fixFiles(ctx, p, result.Plans))
	}
	if format == "json" {
		err = report.ChecksJSON(in.stdout, result.Plans, result.Skipped)
	} else {
		report.Checks(in.stdout, result.Plans, applying(in.out, fix))
		report.Skipped(in.stdout, result.Skipped, in.out)
	}
	if err != nil {
		return in.refuse(err)
	}
	return worst(code, checkCode(result.Plans, fix))
}

// checkCode: with -fix what was fixed does not count any more.
func checkCode(plans []reconcile.Plan, fixed bool) int {
	codes := make([]int, 0, len(plans))
	for _, p := range plans {
		if p.Condition == reconcile.Held {
			codes = append(codes, exitHeld)
		}
		for _, f := range p.Findings {
			if f.Enforce == policies.Deny && !(fixed && f.Fixable() && p.Hold == nil) {
				codes = append(codes, exitDenied)
			}
		}
	}
	return worst(codes...)
}

// fixFiles edits as apply does, with a backup and a record in the history, but
// asks no Nomad.
func (in *invocation) fixFiles(ctx context.Context, p *project, plans []reconcile.Plan) int {
	if !slices.ContainsFunc(plans, reconcile.Plan.Does) {
		return exitOK
	}
	store, err := p.history(in.shell)
	if err != nil {
		return in.fail(err)
	}
	editor := &reconcile.Applier{History: store, Kind: "check", Beside: p.config.Backup.Beside, Clock: in.now}
	codes := []int{exitOK}
	for _, plan := range plans {
		if !plan.Does() {
			continue
		}
		run, err := editor.Apply(ctx, plan)
		switch {
		case err != nil:
			codes = append(codes, in.fail(fmt.Errorf("fixing %s: %w", plan.File, err)))
		case run.Result != history.Converged:
			codes = append(codes, in.fail(fmt.Errorf("fixing %s: %s", plan.File, run.Reason)))
		default:
			in.printErr("Fixed %s; its old bytes are in %s.\n", plan.File, run.Backup)
		}
	}
	return worst(codes...)
}

package main

import (
	"fmt"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/source"
)

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
	result, err := p.planner(in.shell, nil, nil).Plan(ctx, sel, reconcile.Sync{Fix: true, Person: true})
	if err == nil {
		err = unknown(sel, result.Plans)
	}
	if err != nil {
		return in.refuse(err)
	}
	code = in.mistakes(result.Diagnostics, result.Sources)
	if fix {
		code = worst(code, in.fixFiles(result.Plans))
	}
	if format == "json" {
		err = report.ChecksJSON(in.stdout, result.Plans)
	} else {
		report.Checks(in.stdout, result.Plans, applying(in.out, fix))
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

func (in *invocation) fixFiles(plans []reconcile.Plan) int {
	for _, p := range plans {
		root, doc, after := p.Edit()
		if after == nil {
			continue
		}
		if err := source.Write(root, doc, after); err != nil {
			return in.fail(fmt.Errorf("fixing %s: %w", doc.Name, err))
		}
		in.printErr("Fixed %s.\n", doc.Name)
	}
	return exitOK
}

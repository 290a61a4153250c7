package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"slices"
	"time"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// collectSeldom: a check lives for a moment and keeps about 1 KB of a file, but parsing
// one leaves 300 KB behind. To wait until that is ten times what is kept saves more
// than a tenth of the time; the limit is what holds then.
func collectSeldom(files int) {
	debug.SetGCPercent(1000)
	debug.SetMemoryLimit(64<<20 + int64(files)<<10)
}

// checkFlags are what check is asked to do.
type checkFlags struct {
	config, format, failOn string
	policy                 repeated
	fix, diff              bool
	live, ignoreUnknown    bool
	waive                  waiveFlags
}

func (f *checkFlags) declare(in *invocation) {
	declareConfig(in.flags, &f.config)
	in.flags.Var(&f.policy, "policy", "a policy `FILE` or folder, or library:NAME, instead of a configuration; may be repeated")
	in.flags.StringVar(&f.format, "format", "text", "how findings are printed: `text|json|sarif|junit|github`")
	in.flags.StringVar(&f.failOn, "fail-on", "deny", "which findings make the check fail, with exit code 3: `deny|warn`")
	in.flags.BoolVar(&f.fix, "fix", false, "edit the files: make every fixable finding hold; of standard input, print the edited text")
	in.flags.BoolVar(&f.diff, "diff", false, "print only what -fix changes, as a patch")
	in.flags.BoolVar(&f.live, "live", false, "check the jobs that Nomad has registered instead of files")
	in.flags.BoolVar(&f.ignoreUnknown, "ignore-unknown", false, "pass over files that hold no job or are in no source: for hooks that name every changed file")
	f.waive.declare(in.flags)
}

// formats are the values of -format and what writes them.
var formats = map[string]func(io.Writer, report.Check) error{
	"json":   report.ChecksJSON,
	"sarif":  report.ChecksSARIF,
	"junit":  report.ChecksJUnit,
	"github": report.ChecksGitHub,
}

// misused says what does not go together.
func (f *checkFlags) misused(args []string, now time.Time) string {
	stdin := slices.Contains(args, stdinArg)
	switch {
	case f.format != "text" && formats[f.format] == nil:
		return fmt.Sprintf("-format is text, json, sarif, junit or github, not %q.", f.format)
	case f.failOn != "deny" && f.failOn != "warn":
		return fmt.Sprintf("-fail-on is deny or warn, not %q.", f.failOn)
	case f.diff && f.format != "text":
		return "-diff prints a patch: it has no -format."
	case stdin && len(args) > 1:
		return "- is standard input and stands alone among the arguments."
	case stdin && f.fix && f.diff:
		return "of standard input, -fix prints the edited text and -diff the patch: use one of them."
	case f.live && (f.fix || f.diff || f.ignoreUnknown || stdin):
		return "-live looks at registered jobs: -fix, -diff, -ignore-unknown and - are for files."
	case f.waive.write && (f.fix || f.diff || stdin || f.format != "text"):
		return "-write-exceptions writes policy files: -fix, -diff, -format and - do not go with it."
	}
	return f.waive.misused(now)
}

func runCheck(in *invocation) int {
	var f checkFlags
	f.declare(in)
	code, ok := in.parse("[FILE|FOLDER|JOB...|-]", `
		Holds job files against policies, without Nomad: for editors, hooks and CI. With -
		it reads a job from standard input, with -live it looks at what Nomad runs. Exits
		with 3 if a finding denies. A job file that does not parse is an error.`)
	if !ok {
		return code
	}
	if text := f.misused(in.args, in.now()); text != "" {
		return in.misuse("%s", text)
	}
	ctx, stop := interruptible()
	defer stop()
	if !f.fix && !f.waive.write {
		defer in.giveUp(ctx)()
	}
	c, err := in.openCheck(&f)
	if err != nil {
		return in.refuse(err)
	}
	result, err := c.look(ctx)
	if err != nil {
		return in.refuse(err)
	}
	if f.waive.write {
		return in.writeExceptions(ctx, c, result)
	}
	code = in.mistakes(append(result.Diagnostics, c.unmatched(result)...), c.files(result))
	if f.fix && c.text == nil {
		code = worst(code, in.fixFiles(ctx, c.project, result.Plans))
	}
	found := c.found(result)
	if err := in.tell(c, found); err != nil {
		return in.refuse(err)
	}
	return worst(code, checkCode(found))
}

// tell prints what was found. The edited text of standard input goes where a filter
// is expected to write; what there is to say of it then is an aside.
func (in *invocation) tell(c *checker, found report.Check) error {
	out, style := in.stdout, in.out
	if c.fix && c.text != nil {
		if len(found.Plans) == 1 && found.Plans[0].Condition != reconcile.Held {
			if _, err := out.Write(c.fixedText(found.Plans[0])); err != nil {
				return err
			}
		}
		out, style = in.stderr, in.err
	}
	if c.diff {
		return report.Patch(out, found.Plans, style)
	}
	if write := formats[c.format]; write != nil {
		return write(out, found)
	}
	report.Checks(out, found, applying(style, c.fix || c.text != nil))
	report.Skipped(out, found.Skipped, style)
	report.Exceptions(out, found.Exceptions, style)
	return nil
}

// checkCode: with -fix what was fixed does not count any more.
func checkCode(found report.Check) int {
	codes := make([]int, 0, len(found.Plans))
	for _, p := range found.Plans {
		if p.Condition == reconcile.Held {
			codes = append(codes, exitHeld)
		}
		if slices.ContainsFunc(p.Findings, func(f reconcile.Finding) bool { return found.Fails(p, f) }) {
			codes = append(codes, exitDenied)
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
			codes = append(codes, in.fail(fmt.Errorf("fixing %s: %s: mend that, then run the same command again", plan.File, run.Reason)))
		default:
			in.printErr("Fixed %s; its old bytes are in %s.\n", plan.File, run.Backup)
		}
	}
	return worst(codes...)
}

// found is the result as reports take it.
func (c *checker) found(r reconcile.Result) report.Check {
	side := policies.FileSide
	if c.live {
		side = policies.LiveSide
	}
	return report.Check{
		Plans: r.Plans, Skipped: r.Skipped, Diagnostics: append(r.Diagnostics[:len(r.Diagnostics):len(r.Diagnostics)], c.unmatched(r)...),
		Policies: c.planner.Policies.Policies(), Exceptions: report.DueExceptions(c.planner.Policies.Exceptions(), c.now),
		Side: side, FailOn: policies.Enforce(c.failOn), Fixed: c.fix, Version: version,
	}
}

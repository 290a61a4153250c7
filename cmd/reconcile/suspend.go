package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/config"
	"nomad-reconcile/policies"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/source"
)

// suspendFlags say how, and until when.
type suspendFlags struct {
	config, reason, span, until string
	all                         bool
}

func runSuspend(in *invocation) int {
	var f suspendFlags
	declareConfig(in.flags, &f.config)
	in.flags.BoolVar(&f.all, "all", false, "suspend all jobs, also those that come later")
	in.flags.StringVar(&f.reason, "reason", "", "the `TEXT` that plan and the agent's log show; must be given")
	in.flags.StringVar(&f.span, "for", "", "resume by itself after that long, a `DURATION` such as 2h or 7d")
	in.flags.StringVar(&f.until, "until", "", "resume by itself at that `TIME`, such as 2026-11-30T18:00:00Z, or after that day")
	code, ok := in.parse("[JOB...]", `
		Keeps the agent from the jobs that are named, or from all, until they are resumed.
		A run that is under way ends first. What a person does is not kept from anything:
		plan and apply only say that the job is suspended. A job that is suspended already
		gets the new reason and end.`)
	if !ok {
		return code
	}
	if problem := in.badSuspend(f); problem != "" {
		return in.misuse("%s", problem)
	}
	until, err := f.end(in.now())
	if err != nil {
		return in.misuse("%s.", err)
	}
	p, store, err := in.stateOf(f.config)
	if err != nil {
		return in.refuse(err)
	}
	names := in.args
	if f.all {
		names = []string{""}
	}
	var added []history.Suspension
	for _, name := range names {
		added = append(added, history.Suspension{Job: name, Reason: f.reason, By: in.who(), Until: until})
	}
	if err := store.Suspend(added...); err != nil {
		return in.fail(err)
	}
	for _, name := range in.undeclared(p.config, store) {
		in.printErr("Warning: no job file of the sources declares %q, and it has no runs; if that is a typing mistake: reconcile resume %s\n", name, name)
	}
	report.Suspended(in.stdout, added, in.out)
	return exitOK
}

func (in *invocation) badSuspend(f suspendFlags) string {
	switch {
	case f.all && len(in.args) > 0:
		return "suspend takes jobs, or -all, not both."
	case !f.all && len(in.args) == 0:
		return "suspend takes the jobs to suspend, or -all."
	case slices.Contains(in.args, ""):
		return "the name of a job is empty."
	case strings.TrimSpace(f.reason) == "":
		return fmt.Sprintf("a suspension needs a reason: %s", strings.Join(append([]string{"reconcile suspend -reason \"why it is\""}, in.raw...), " "))
	case f.span != "" && f.until != "":
		return "-for and -until both say when it ends; give one of them."
	}
	return ""
}

// end is when the suspension ends, zero for never.
func (f suspendFlags) end(now time.Time) (time.Time, error) {
	switch {
	case f.span != "":
		d, err := span(f.span)
		if err != nil {
			return time.Time{}, fmt.Errorf("-for: %w", err)
		}
		return now.Add(d).UTC(), nil
	case f.until != "":
		t, err := instant(f.until, true)
		if err == nil && !t.After(now) {
			err = fmt.Errorf("%s has gone by", f.until)
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("-until: %w", err)
		}
		return t.UTC(), nil
	}
	return time.Time{}, nil
}

// stateOf reads the configuration alone: whatever is wrong with policies or job
// files, what is remembered can be looked at, and jobs can be suspended.
func (in *invocation) stateOf(configFile string) (*project, *history.Store, error) {
	p, err := in.load(wants{config: configFile, stateOnly: true})
	if err != nil {
		return nil, nil, err
	}
	store, err := p.history(in.shell)
	return p, store, err
}

// undeclared are the names that no job file and no run has. Where not every file can
// be read, nobody knows, and none is.
func (in *invocation) undeclared(c *config.Config, store *history.Store) []string {
	byNomad := func(name string) bool {
		bare, _, _ := strings.Cut(name, "@")
		return slices.ContainsFunc(c.Nomads, func(s config.NomadSource) bool {
			return policies.Glob(s.Jobs, bare) && !policies.Glob(s.Exclude, bare)
		})
	}
	var known []job.ID
	runs, err := store.Runs(nil)
	for _, r := range runs {
		known = append(known, r.Job)
	}
	for _, s := range c.Sources {
		dir := source.Directory{Name: s.Name, Path: s.Path.Abs, Shown: s.Path.Shown, Include: s.Include, Exclude: s.Exclude}
		paths, listErr := dir.List()
		err = errors.Join(err, listErr)
		for _, path := range paths {
			doc, readErr := dir.Read(path)
			err = errors.Join(err, readErr)
			known = append(known, declared(s.Namespace, doc)...)
		}
	}
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range in.args {
		if !byNomad(name) && !slices.ContainsFunc(known, func(id job.ID) bool { return id.Called(name) }) {
			out = append(out, name)
		}
	}
	return out
}

// declared is the job of a file, or what it is likely to be where that takes values
// of variables.
func declared(namespace string, doc source.Document) []job.ID {
	name := jobspec.Name(doc.Bytes)
	if name == "" {
		return nil
	}
	ids := []job.ID{{Namespace: namespace, Name: name}}
	if f, diags := jobspec.Parse(doc.Name, doc.Bytes, jobspec.Inputs{Lenient: true}); !diags.HasErrors() {
		ids = append(ids, job.IDOf(f.Job))
	}
	return ids
}

// who is at the keyboard, as far as the environment says.
func (sh *shell) who() string {
	return cmp.Or(sh.getenv("SUDO_USER"), sh.getenv("USER"), sh.getenv("LOGNAME"), fmt.Sprintf("uid %d", os.Getuid()))
}

func runResume(in *invocation) int {
	var configFile string
	var all bool
	declareConfig(in.flags, &configFile)
	in.flags.BoolVar(&all, "all", false, "end the suspension of all jobs; those suspended by name stay so")
	code, ok := in.parse("[JOB...]", `
		Lets the agent work again on jobs that were suspended, named as they were then.`)
	switch {
	case !ok:
		return code
	case all && len(in.args) > 0:
		return in.misuse("resume takes jobs, or -all, not both.")
	case !all && len(in.args) == 0:
		return in.misuse("resume takes the jobs to resume, or -all.")
	case slices.Contains(in.args, ""):
		return in.misuse("the name of a job is empty.")
	}
	_, store, err := in.stateOf(configFile)
	if err != nil {
		return in.refuse(err)
	}
	names := in.args
	if all {
		names = []string{""}
	}
	ended, err := store.Unsuspend(names...)
	if err != nil {
		return in.fail(err)
	}
	left, err := store.Suspensions()
	if err != nil {
		return in.fail(err)
	}
	report.Resumed(in.stdout, ended, left, in.out)
	for _, name := range names {
		if !slices.ContainsFunc(ended, func(s history.Suspension) bool { return s.Job == name }) {
			code = in.fail(notSuspended(name))
		}
	}
	return code
}

func notSuspended(name string) error {
	if name == "" {
		return errors.New("nobody has suspended all jobs; those that were suspended by name are resumed by name")
	}
	return fmt.Errorf("%s is not suspended", name)
}

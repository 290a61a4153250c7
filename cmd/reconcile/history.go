package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// historyFlags say which runs are listed, and how.
type historyFlags struct {
	config       string
	json         bool
	since, until string
	results      repeated

	from, to time.Time // of since and until; zero for no limit
}

// openResult stands for the runs that have no result yet.
const openResult = "open"

var resultNames = []string{
	string(history.Converged), string(history.Unchanged), string(history.Held), string(history.Denied),
	string(history.RolledBack), string(history.Failed), openResult,
}

func runHistory(in *invocation) int {
	var f historyFlags
	declareConfig(in.flags, &f.config)
	in.flags.BoolVar(&f.json, "json", false, "print one JSON object instead of text")
	in.flags.StringVar(&f.since, "since", "", "list runs that began since a `TIME`: how long ago, such as 24h or 7d, a day, or 2026-11-30T18:00:00Z")
	in.flags.StringVar(&f.until, "until", "", "list runs that began until a `TIME`, written as for -since; a day is meant whole")
	in.flags.Var(&f.results, "result", "list runs that ended so, with a `RESULT` such as rolled_back, or are open; may be repeated")
	code, ok := in.parse("[JOB...] | show RUN", `
		Lists past runs, the newest first: what was changed, how it ended, and where the
		backup is. With show, all that is known of one run: steps, gates, what it changed in
		the file and in the live job; the beginning of its name is enough.`)
	if !ok {
		return code
	}
	if len(in.args) == 2 && in.args[0] == "show" {
		return in.showRun(f)
	}
	if err := f.read(in.now()); err != nil {
		return in.misuse("%s.", err)
	}
	_, store, err := in.stateOf(f.config)
	if err != nil {
		return in.refuse(err)
	}
	runs, err := store.Runs(nil)
	if err != nil {
		code = in.fail(err)
	}
	any := len(runs) > 0
	runs = slices.DeleteFunc(runs, func(r history.Run) bool { return !f.wants(r) || !in.names(r) })
	switch {
	case f.json:
		if err := report.HistoryJSON(in.stdout, runs); err != nil {
			return in.refuse(err)
		}
	case any && len(runs) == 0:
		in.print("No run is so; `reconcile history` without arguments lists all that there are.\n")
	default:
		report.History(in.stdout, runs, in.now(), in.out)
	}
	return code
}

// read checks the flags' values.
func (f *historyFlags) read(now time.Time) (err error) {
	if f.since != "" {
		if f.from, err = back(f.since, false, now); err != nil {
			return fmt.Errorf("-since: %w", err)
		}
	}
	if f.until != "" {
		if f.to, err = back(f.until, true, now); err != nil {
			return fmt.Errorf("-until: %w", err)
		}
	}
	for _, r := range f.results {
		if !slices.Contains(resultNames, r) {
			return fmt.Errorf("-result is one of %s, not %q (perhaps %s)", strings.Join(resultNames, ", "), r, nearest(r, resultNames))
		}
	}
	return nil
}

func (f *historyFlags) wants(r history.Run) bool {
	result := string(r.Result)
	if r.Open {
		result = openResult
	}
	switch {
	case !f.from.IsZero() && r.Started.Before(f.from):
		return false
	case !f.to.IsZero() && !r.Started.Before(f.to):
		return false
	}
	return len(f.results) == 0 || slices.Contains(f.results, result)
}

// names: the run is of a job that was named, or none was.
func (in *invocation) names(r history.Run) bool {
	return len(in.args) == 0 || slices.ContainsFunc(in.args, r.Job.Called)
}

// showRun tells all of one run.
func (in *invocation) showRun(f historyFlags) int {
	if f.since+f.until != "" || len(f.results) > 0 {
		return in.misuse("-since, -until and -result choose among many runs, and show takes one.")
	}
	_, store, err := in.stateOf(f.config)
	if err != nil {
		return in.refuse(err)
	}
	run, err := store.Find(in.args[1])
	if err != nil {
		return in.fail(err)
	}
	prior, next, err := store.Load(run.ID)
	if err != nil {
		return in.fail(err)
	}
	past := report.Past{Run: run, New: prior.Job == nil && next.Job != nil, LiveDiff: next.Changes}
	if next.Bytes != nil {
		past.FileDiff = reconcile.Unified("a/"+prior.File, "b/"+prior.File, prior.Bytes, next.Bytes)
	}
	if f.json {
		if err := report.PastJSON(in.stdout, past); err != nil {
			return in.fail(err)
		}
		return exitOK
	}
	report.PastRun(in.stdout, past, in.now(), in.out)
	return exitOK
}

package main

import (
	"slices"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/state/history"
)

func runHistory(in *invocation) int {
	var configFile string
	var asJSON bool
	declareConfig(in.flags, &configFile)
	in.flags.BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	code, ok := in.parse("[JOB...]", `
		Lists past runs, the newest first: what was changed, how it ended, and where the
		backup is.`)
	if !ok {
		return code
	}
	p, err := in.load(wants{config: configFile})
	if err != nil {
		return in.refuse(err)
	}
	store, err := p.history(in.shell)
	if err != nil {
		return in.refuse(err)
	}
	runs, err := store.Runs(nil)
	if err != nil {
		code = in.fail(err)
	}
	runs = slices.DeleteFunc(runs, func(r history.Run) bool {
		return len(in.args) > 0 && !slices.Contains(in.args, r.Job.Name) && !slices.Contains(in.args, r.Job.Name+"@"+r.Job.Namespace)
	})
	if asJSON {
		err = report.HistoryJSON(in.stdout, runs)
		if err != nil {
			return in.refuse(err)
		}
		return code
	}
	report.History(in.stdout, runs, in.now(), in.out)
	return code
}

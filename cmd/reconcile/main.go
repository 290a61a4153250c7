// Command reconcile keeps HashiCorp Nomad jobs the way policy files say they
// must be. There is one file for each verb; only this package prints, exits and
// reads the environment.
package main

import (
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/cli"
)

func main() { os.Exit(run(newShell(), os.Args[1:])) }

// verbs are the commands in the order of help.
func verbs(sh *shell) map[string]cli.CommandFactory {
	all := map[string]verb{
		"init":       {synopsis: "Write a commented reconcile.hcl and a first policy for the job files here", run: runInit},
		"check":      {synopsis: "Hold job files against policies; needs no Nomad", run: runCheck},
		"test":       {synopsis: "Run the unit tests of policies", run: runTest},
		"explain":    {synopsis: "Show what a policy demands and why, with examples", run: runExplain},
		"plan":       {synopsis: "Show what would be done, to files and to live jobs", run: runPlan},
		"apply":      {synopsis: "Do what the plan shows, with backups, gates and rollback", run: runApply},
		"doctor":     {synopsis: "Say why a job does not start, and what to type next", run: runDoctor},
		"agent":      {synopsis: "Hold jobs continuously", run: runAgent},
		"status":     {synopsis: "Show the condition of every job, why, and what to type next", run: runStatus},
		"history":    {synopsis: "List past runs", run: runHistory},
		"suspend":    {synopsis: "Keep the agent from jobs for a while, with a reason", run: runSuspend},
		"resume":     {synopsis: "End what suspend began", run: runResume},
		"rollback":   {synopsis: "Bring file and job back to before a run", run: runRollback},
		"import":     {synopsis: "Bring the sources of registered jobs to disk, as they were submitted", run: runImport},
		"render":     {synopsis: "Print what a job file evaluates to, as JSON", run: runRender},
		"demo":       {synopsis: "The whole story in a minute, on an embedded Nomad", run: runDemo},
		"version":    {synopsis: "Print the version", run: runVersion},
		"completion": {synopsis: "Print a completion script for bash, zsh or fish", run: runCompletion},
	}
	factories := map[string]cli.CommandFactory{}
	for name, v := range all {
		v.name, v.shell = name, sh
		factories[name] = func() (cli.Command, error) { return &v, nil }
	}
	return factories
}

// topFlags may stand without a verb.
var topFlags = []string{"h", "help", "autocomplete-install", "autocomplete-uninstall"}

func run(sh *shell, args []string) int {
	if len(args) == 1 && (args[0] == "-version" || args[0] == "--version" || args[0] == "-v") {
		args = []string{"version"}
	}
	if len(args) > 0 && strings.HasPrefix(args[0], "-") && !slices.Contains(topFlags, strings.TrimLeft(args[0], "-")) {
		sh.printErr("Error: reconcile has no flag %s; a verb's flags stand after it.\n`reconcile -help` lists the verbs.\n", args[0])
		return exitError
	}
	app := &cli.CLI{
		Name: "reconcile", Args: args, Commands: verbs(sh), Autocomplete: true,
		HelpFunc: help, HelpWriter: sh.stdout, ErrorWriter: io.Discard, // noVerb says it shorter
	}
	code, err := app.Run()
	if err != nil {
		return sh.fail(err)
	}
	if code == 127 {
		return sh.noVerb(args, app.Commands)
	}
	return code
}

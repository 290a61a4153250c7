package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"nomad-reconcile/config"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/source"
)

func runInit(in *invocation) int {
	code, ok := in.parse("[FOLDER]", `
		Looks for job files below the working directory (or FOLDER), and writes
		reconcile.hcl and policies/first.policy.hcl for them, commented. Files that are
		there already are never touched.`)
	if !ok {
		return code
	}
	if len(in.args) > 1 {
		return in.misuse("init takes one folder.")
	}
	folder := "."
	if len(in.args) == 1 {
		folder = in.args[0]
	}
	jobs, err := findJobs(folder)
	if err != nil {
		return in.fail(err)
	}
	files := []struct{ name, text string }{
		{defaultConfig, configTemplate(jobs)},
		{filepath.Join("policies", "first.policy.hcl"), policyTemplate(jobs)},
	}
	for _, f := range files {
		if _, err := os.Lstat(f.name); err == nil {
			return in.fail(fmt.Errorf("%s is there already; move it away to begin anew", f.name))
		}
	}
	for _, f := range files {
		if err := writeNew(f.name, f.text); err != nil {
			return in.fail(err)
		}
		in.print("Wrote %s\n", f.name)
	}
	in.print("\nFound %s.\nNext: reconcile check\n", plural(len(jobs), "job file"))
	return exitOK
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// foundJob is a job file that init came across.
type foundJob struct {
	path string // relative to the working directory
	name string
	sudo bool
}

func findJobs(folder string) ([]foundJob, error) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("looking for job files: %w", err)
	}
	dir := source.Directory{Name: folder, Path: abs, Shown: folder, Include: config.DefaultInclude(), Exclude: config.DefaultExclude()}
	paths, err := dir.List()
	if err != nil {
		return nil, fmt.Errorf("looking for job files in %s: %w", folder, unwrapPath(err))
	}
	var out []foundJob
	for _, path := range paths {
		doc, err := dir.Read(path)
		if err != nil || !jobspec.IsJob(doc.Bytes) {
			continue
		}
		out = append(out, foundJob{
			path: filepath.Clean(doc.Name), name: jobspec.Name(doc.Bytes), sudo: strings.Contains(string(doc.Bytes), `"sudo"`),
		})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no job file is below %s: go to the folder that has them, or name it: reconcile init FOLDER", folder)
	}
	return out, nil
}

func writeNew(name, text string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// topFolder is the folder that holds all the job files.
func topFolder(jobs []foundJob) string {
	top := filepath.Dir(jobs[0].path)
	for _, j := range jobs {
		for top != "." && !strings.HasPrefix(j.path, top+"/") {
			top = filepath.Dir(top)
		}
	}
	return top
}

func configTemplate(jobs []foundJob) string {
	return fmt.Sprintf(`# What reconcile works on. Every key and its default: config/README.md of the project.

# Where Nomad is. What is not said here comes from NOMAD_ADDR, NOMAD_TOKEN and
# the other NOMAD_* variables.
nomad {
  # address  = "http://127.0.0.1:4646"
  namespaces = ["default"]
}

# Where the job files are: %s so far.
source "directory" "jobs" {
  path = %q
}

policies = ["policies"]

# What the agent may do by itself. "reconcile apply" does not need it: it asks you.
sync {
  fix    = %q # apply: fix what the policies can fix, in the files and live
  drift  = %q # correct: register a file's job where it differs from the live one
  create = %q # register: register jobs that Nomad does not know
}

# The agent: what it answers on, and when it changes nothing by itself.
#
# http {
#   address = "127.0.0.1:9464" # /metrics, /healthz, /readyz
# }
#
# calm {
#   window = "Mon-Fri 09:00-17:00" # or a list; a time zone may follow: UTC, Europe/Berlin
# }
`, plural(len(jobs), "job file"), topFolder(jobs), reconcile.Report, reconcile.Report, reconcile.Report)
}

func policyTemplate(jobs []foundJob) string {
	var names []string
	for _, j := range jobs {
		if j.sudo && j.name != "" {
			names = append(names, fmt.Sprintf("%q", j.name))
		}
	}
	slices.Sort(names)
	which, some := "every job", "    # job = [\"web-*\"] # globs; without it, every job"
	if len(names) > 0 {
		which = "the jobs that call sudo"
		some = fmt.Sprintf("    job = [%s]", strings.Join(slices.Compact(names), ", "))
	}
	return fmt.Sprintf(`# A first policy, for %s. The language: policies/README.md of the project.

policy "no-sudo-preserve-env" {
  description = "sudo must not try to preserve the caller's environment: the env block of the task is its environment."
  enforce     = "deny" # or "warn"
  fix         = true   # take -E out; false only reports

  match {
%s
  }

  sudo {
    preserve_env = false # -E, -nE, --preserve-env, --preserve-env=A,B
  }
}

# How a job is converged. Without a rollout: register, wait until it is healthy,
# and put everything back if it does not become so.
#
# rollout "web" {
#   match {
#     job = ["web"]
#   }
#   strategy   = "restart"  # stop, wait until its allocations have ended, run
#   on_failure = "rollback" # or "keep"
#
#   gate "logs" "no-errors" {
#     forbid  = ["^panic: "]
#     require = ["listening on"]
#     window  = "15s"
#   }
# }
`, which, some)
}

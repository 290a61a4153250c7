package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

//go:embed demo
var demoFiles embed.FS

var demoJob = job.ID{Namespace: job.DefaultNamespace, Name: "orchestrator-demo"}

// demo is the story told on one temporary folder and one Nomad.
type demo struct {
	*invocation
	folder  string
	address string
	sudo    string // the command that the job runs
	standIn bool   // it is ours, because this host has no sudo that refuses -E
	client  *nomad.Client
}

func runDemo(in *invocation) int {
	var real, keep bool
	in.flags.BoolVar(&real, "nomad", false, "use the Nomad at NOMAD_ADDR, which must allow raw_exec, instead of the embedded stand-in")
	in.flags.BoolVar(&keep, "keep", false, "leave the demo's folder for a look afterwards")
	code, ok := in.parse("", `
		Tells the whole story in under a minute, in a temporary folder: a job fails because
		of sudo -E, plan shows why, apply mends file and job; then a gate fails and
		everything is put back. Nothing needs to be installed.`)
	if !ok {
		return code
	}
	ctx, stop := interruptible()
	defer stop()
	d := &demo{invocation: in}
	end, err := d.setUp(real, keep)
	if err == nil {
		err = d.tell(ctx)
	}
	if err := errors.Join(err, end()); err != nil {
		return in.fail(err)
	}
	return exitOK
}

// setUp lays the folder out and starts or finds Nomad; end takes both away.
func (d *demo) setUp(real, keep bool) (end func() error, err error) {
	var ends []func() error
	end = func() error {
		var errs []error
		for i := len(ends) - 1; i >= 0; i-- {
			errs = append(errs, ends[i]())
		}
		return errors.Join(errs...)
	}
	if d.folder, err = os.MkdirTemp("", "reconcile-demo-"); err != nil {
		return end, fmt.Errorf("making the demo's folder: %w", err)
	}
	ends = append(ends, func() error {
		if keep {
			d.print("The demo's folder stays: %s\n", d.folder)
			return nil
		}
		return os.RemoveAll(d.folder)
	})
	if err := d.writeFiles(); err != nil {
		return end, err
	}
	d.pickSudo(real)
	if err := d.findNomad(real, &ends); err != nil {
		return end, err
	}
	if err := d.configure(); err != nil {
		return end, err
	}
	back, err := os.Getwd()
	if err != nil {
		return end, err
	}
	ends = append(ends, func() error { return os.Chdir(back) })
	d.introduce(real)
	return end, os.Chdir(d.folder)
}

func (d *demo) writeFiles() error {
	return fs.WalkDir(demoFiles, "demo", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(d.folder, strings.TrimPrefix(path, "demo"))
		if entry.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		data, err := demoFiles.ReadFile(path)
		if err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if dir := filepath.Base(filepath.Dir(path)); dir == "bin" || dir == "scripts" {
			mode = 0o755
		}
		return os.WriteFile(to, data, mode)
	})
}

// pickSudo prefers this host's sudo, if it runs the script and refuses -E as in
// the story; -n never asks for a password. The stand-in is found first on the
// embedded Nomad's PATH; a real Nomad needs its full name.
func (d *demo) pickSudo(real bool) {
	d.sudo = "sudo"
	script := filepath.Join(d.folder, "bin", "true")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err == nil {
		out, _ := exec.Command("sudo", "-n", "-E", script).CombinedOutput() // the words say more than the exit code
		if strings.Contains(string(out), "not allowed to preserve the environment") && exec.Command("sudo", "-n", script).Run() == nil {
			return
		}
	}
	d.standIn = true
	if real {
		d.sudo = filepath.Join(d.folder, "bin", "sudo")
	}
}

func (d *demo) findNomad(real bool, ends *[]func() error) error {
	if !real {
		server, err := nomadtest.Start(nomadtest.Options{
			Dir: filepath.Join(d.folder, ".nomad"), PATH: d.standInPath(), Parse: parseForNomad,
		})
		if err != nil {
			return err
		}
		*ends = append(*ends, server.Close)
		for _, kv := range os.Environ() { // they speak of another Nomad
			if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "NOMAD_") {
				os.Unsetenv(name)
			}
		}
		os.Setenv("NOMAD_ADDR", server.URL())
	}
	cfg := api.DefaultConfig()
	d.address = cfg.Address
	client, err := nomad.New(cfg)
	d.client = client
	return err
}

func (d *demo) standInPath() string {
	if d.standIn {
		return filepath.Join(d.folder, "bin")
	}
	return ""
}

func parseForNomad(src, variables string) (*api.Job, error) {
	f, diags := jobspec.Parse("job", []byte(src), jobspec.Inputs{
		VarFiles: []jobspec.VarFile{{Name: "variables", Bytes: []byte(variables)}},
	})
	if diags.HasErrors() {
		return nil, diags
	}
	return f.Job, nil
}

// configure writes what depends on this run: the folder, the sudo, the address.
func (d *demo) configure() error {
	text := fmt.Sprintf(`nomad {
  address = %q
}

source "directory" "jobs" {
  path = "jobs"
  var  = { folder = %q, sudo = %q }
}

policies = ["policies"]
`, d.address, d.folder, d.sudo)
	return os.WriteFile(filepath.Join(d.folder, defaultConfig), []byte(text), 0o644)
}

func (d *demo) introduce(real bool) {
	d.print("reconcile demo: a job that dies of `sudo -E`, and what becomes of it\n\n")
	if !real {
		d.print("  Nomad is a stand-in: a small one inside this program, which runs the task as a real process.\n")
	} else {
		d.print("  Nomad is the one at %s.\n", d.address)
	}
	if d.standIn {
		d.print("  sudo is a stand-in too: a script that refuses -E in sudo's own words, since this host has no sudo that would.\n")
	} else {
		d.print("  sudo is this host's own.\n")
	}
}

// tell is the story, act by act.
func (d *demo) tell(ctx context.Context) error {
	d.act("Before: somebody runs the job as its file says")
	if err := d.runJob(ctx); err != nil {
		return err
	}
	defer d.stopJob()
	acts := []struct {
		title string
		verbs [][]string
		code  int
	}{
		{"Act one: a policy says `sudo { preserve_env = false }`. What would be done?", [][]string{{"plan"}}, exitOK},
		{"... and done", [][]string{{"apply", "-auto-approve", demoJob.Name}}, exitOK},
		{"... and there is nothing left to do", [][]string{{"plan", "-detailed-exitcode"}}, exitOK},
	}
	for _, a := range acts {
		d.act(a.title)
		if err := d.verbs(a.verbs, a.code); err != nil {
			return err
		}
	}
	d.act("Act two: a new policy sets BRIDGE = \"socat\", which this node does not have")
	if err := d.addPolicy(); err != nil {
		return err
	}
	if err := d.verbs([][]string{{"apply", "-auto-approve", demoJob.Name}}, exitRolledBack); err != nil {
		return err
	}
	d.act("What happened, and where the backups are")
	if err := d.verbs([][]string{{"history"}}, exitOK); err != nil {
		return err
	}
	d.print("\nThat was the demo: the job is healthy, and its file is as the first run left it.\nNext: `reconcile init` in a folder with job files of your own.\n")
	return nil
}

func (d *demo) act(title string) { d.print("\n==> %s\n\n", title) }

func (d *demo) verbs(lines [][]string, want int) error {
	for _, line := range lines {
		d.print("$ reconcile %s\n", strings.Join(line, " "))
		if code := run(d.shell, line); code != want {
			return fmt.Errorf("reconcile %s ended with %d where the story wants %d", strings.Join(line, " "), code, want)
		}
	}
	return nil
}

func (d *demo) addPolicy() error {
	data, err := os.ReadFile(filepath.Join("later", "bridge.policy.hcl"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join("policies", "bridge.policy.hcl"), data, 0o644)
}

// runJob registers the file as it is and waits for it to fail.
func (d *demo) runJob(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	src, err := os.ReadFile(filepath.Join("jobs", "orchestrator.hcl"))
	if err != nil {
		return err
	}
	f, diags := jobspec.Parse("jobs/orchestrator.hcl", src, jobspec.Inputs{Vars: map[string]string{"folder": d.folder, "sudo": d.sudo}})
	if diags.HasErrors() {
		return diags
	}
	d.print("$ nomad job run jobs/orchestrator.hcl\n")
	if _, err := d.client.Register(ctx, f.Job, f.Submission, 0); err != nil {
		return fmt.Errorf("registering the demo's job: %w", err)
	}
	var index uint64
	for {
		allocs, next, err := d.client.Allocations(ctx, demoJob, index)
		if err != nil {
			return fmt.Errorf("waiting for the demo's job to fail: %w", err)
		}
		index = next
		failure, err := d.client.LastFailure(ctx, allocs)
		if err != nil {
			return err
		}
		if failure != nil && len(failure.Stderr) > 0 {
			d.print("task %s: exit code %d\n  %s\n", failure.Task, failure.ExitCode, strings.Join(failure.Stderr, "\n  "))
			return nil
		}
	}
}

// stopJob leaves no process behind, on whichever Nomad.
func (d *demo) stopJob() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	j, err := d.client.Job(ctx, demoJob)
	if err == nil && (j.Stop == nil || !*j.Stop) {
		_, err = d.client.Stop(ctx, j, *j.JobModifyIndex)
	}
	if err != nil {
		report.Error(d.stderr, fmt.Errorf("stopping the demo's job: %w", err), d.err)
	}
}

package reconcile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad/nomadtest"
)

const restart = `
rollout "web" {
  match {
    job = ["web"]
  }
  strategy = "restart"
}
`

func logsGate(require string) string {
	return `
rollout "web" {
  match {
    job = ["web"]
  }
  deadline = "20s"

  gate "logs" "says" {
    forbid  = ["^sudo: "]
    require = ["` + require + `"]
    window  = "500ms"
  }
}
`
}

func TestApplyTakesTheJobFromSudoToHealthy(t *testing.T) {
	for name, policy := range map[string]string{
		"update":  sudoPolicy + logsGate("ready info one"),
		"restart": sudoPolicy + restart,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, policy)
			w.run()
			before := w.read()
			if w.live().State.Healthy {
				t.Fatal("the job is healthy with -E")
			}
			if f := w.live().State.Failure; f == nil || f.ExitCode != 1 || !strings.Contains(strings.Join(f.Stderr, "\n"), "not allowed to preserve") {
				t.Fatalf("last failure: %+v", f)
			}
			p := w.plan()
			if p.Condition != reconcile.OutOfSync || !p.Will(reconcile.EditFile) || !p.Will(reconcile.Register) {
				t.Fatalf("plan: %s %v: %s", p.Condition, p.Actions, p.Reason)
			}
			run := w.apply()
			if run.Result != history.Converged {
				t.Fatalf("%s: %s", run.Result, run.Reason)
			}
			if want := strings.Replace(before, `"-E", `, "", 1); w.read() != want {
				t.Errorf("the file:\n%s", w.read())
			}
			live := w.live()
			if got := args(live.Job); got != "script one" {
				t.Errorf("live args: %s", got)
			}
			if live.Submission == nil || live.Submission.Source != w.read() {
				t.Errorf("the submission is not the new source")
			}
			if !live.State.Healthy {
				t.Errorf("not healthy: %s", live.State.Why)
			}
			backup, err := os.ReadFile(run.Backup)
			if err != nil || string(backup) != before {
				t.Errorf("backup: %v", err)
			}
			if p := w.plan(); p.Condition != reconcile.InSync || p.Does() || len(p.Findings) > 0 {
				t.Errorf("second plan: %s %v %v", p.Condition, p.Actions, p.Reason)
			}
		})
	}
}

func TestAnUndeployedEditStaysUndeployed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.run()
	w.edit(`LOG_LEVEL = "info"`, `LOG_LEVEL = "debug"`)
	p := w.plan()
	if !p.Will(reconcile.Register) {
		t.Fatalf("%s %v", p.Condition, p.Actions)
	}
	drift := 0
	for _, c := range p.LiveDiff {
		if !c.Finding {
			drift++
			if c.Path.String() != `group["web"].task["web"].env.LOG_LEVEL` || !c.Stays {
				t.Errorf("drift at %s, stays %v", c.Path, c.Stays)
			}
		}
	}
	if drift != 1 {
		t.Errorf("%d drifts: %v", drift, p.LiveDiff)
	}
	if run := w.apply(); run.Result != history.Converged {
		t.Fatalf("%s: %s", run.Result, run.Reason)
	}
	if text := w.read(); strings.Contains(text, "-E") || !strings.Contains(text, `"debug"`) {
		t.Errorf("the file:\n%s", text)
	}
	live := w.live()
	if args(live.Job) != "script one" || live.Job.TaskGroups[0].Tasks[0].Env["LOG_LEVEL"] != "info" {
		t.Errorf("live: %s %v", args(live.Job), live.Job.TaskGroups[0].Tasks[0].Env)
	}
	if s := live.Submission.Source; strings.Contains(s, "-E") || !strings.Contains(s, `"info" # keep me`) {
		t.Errorf("the live submission:\n%s", s)
	}
	p = w.plan()
	if p.Condition != reconcile.OutOfSync || p.Does() || len(p.LiveDiff) != 1 {
		t.Errorf("after: %s %v %v", p.Condition, p.Actions, p.LiveDiff)
	}
}

// healthy brings the job up without -E, and then asks for another change.
func healthy(t *testing.T, policy string) *world {
	w := newWorld(t, policy)
	w.edit(`"-E", `, "")
	w.run()
	if !w.live().State.Healthy {
		t.Fatalf("not healthy: %s", w.live().State.Why)
	}
	return w
}

const setBroken = `policy "broken" {
  fix = true

  env {
    values = { BROKEN = "sudo: no" }
  }
}
`

func TestAGateThatFailsPutsEverythingBack(t *testing.T) {
	for name, policy := range map[string]string{
		"forbidden line": setBroken + logsGate("ready"),
		"missing line":   setBroken + strings.Replace(logsGate("never said"), `"^sudo: "`, `"^panic"`, 1),
		"restart":        setBroken + strings.Replace(logsGate("ready"), "deadline", "strategy = \"restart\"\n  deadline", 1),
		"does not start": strings.Replace(setBroken, "BROKEN", "CRASH", 1) + logsGate("ready"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := healthy(t, policy)
			before := w.read()
			run := w.apply()
			if run.Result != history.RolledBack {
				t.Fatalf("%s: %s", run.Result, run.Reason)
			}
			if w.read() != before {
				t.Errorf("the file:\n%s", w.read())
			}
			live := w.live()
			if env := live.Job.TaskGroups[0].Tasks[0].Env; len(env) != 1 || !live.State.Healthy || live.Submission.Source != before {
				t.Errorf("live env %v, %s", env, live.State.Why)
			}
			w.sync.Person = false
			if p := w.plan(); p.Condition != reconcile.Held || !strings.Contains(p.Hold.Reason, run.ID) {
				t.Errorf("the agent tries the failed revision again: %s %s", p.Condition, p.Reason)
			}
		})
	}
}

func TestABrokenJobHasNothingToGoBackTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy+logsGate("never said"))
	w.run()
	run := w.apply()
	if run.Result != history.Failed || !strings.Contains(run.Reason, "nothing better to go back to") {
		t.Fatalf("%s: %s", run.Result, run.Reason)
	}
	if strings.Contains(w.read(), "-E") || args(w.live().Job) != "script one" {
		t.Error("file and job do not stay as the run left them")
	}
}

func TestRollbackOfARunBringsBothBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.run()
	before := w.read()
	run := w.apply()
	plan, err := w.planner().PlanRollback(w.ctx(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	a := w.applier()
	a.Kind = "rollback"
	back, err := a.Apply(w.ctx(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if w.read() != before || args(w.live().Job) != "-E script one" {
		t.Errorf("file or job are not back: %s", args(w.live().Job))
	}
	// What is back is broken, which a rollback that was asked for does not undo.
	if back.Result != history.Failed || back.Of != run.ID {
		t.Errorf("%s of %s: %s", back.Result, back.Of, back.Reason)
	}
}

func TestAPlanThatIsStaleIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.run()
	var stale *reconcile.StaleError

	p := w.plan()
	w.edit("keep me", "keep it")
	if _, err := w.applier().Apply(w.ctx(), p); !errors.As(err, &stale) || !strings.Contains(err.Error(), "jobs/web.hcl changed") {
		t.Errorf("file: %v", err)
	}
	p = w.plan()
	w.edit(`"info"`, `"trace"`)
	w.run()
	w.edit(`"trace"`, `"info"`)
	if _, err := w.applier().Apply(w.ctx(), p); !errors.As(err, &stale) || !strings.Contains(err.Error(), "registered by somebody else") {
		t.Errorf("job: %v", err)
	}
	if !strings.Contains(w.read(), "-E") || args(w.live().Job) != "-E script one" {
		t.Error("something was done")
	}
	if runs, _ := w.store.Runs(nil); len(runs) > 0 {
		t.Errorf("%d runs", len(runs))
	}
}

// A register that loses the race after the snapshot: the file comes back.
func TestAConflictInTheMiddleRestoresTheFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.run()
	p, before := w.plan(), w.read()
	a := w.applier()
	a.Progress = func(e reconcile.Event) {
		if e.Step == "register" && e.Outcome == "" {
			j := job.Clone(w.live().Job)
			j.Priority = new(70)
			if _, err := w.client.Register(w.ctx(), j, nil, *j.JobModifyIndex); err != nil { // somebody else is quicker
				t.Error(err)
			}
		}
	}
	run, err := a.Apply(w.ctx(), p)
	if err != nil {
		t.Fatal(err)
	}
	if run.Result != history.RolledBack || !strings.Contains(run.Reason, "everything is as it was") {
		t.Errorf("%s: %s", run.Result, run.Reason)
	}
	if w.read() != before {
		t.Error("the file is not back")
	}
}

func TestAJobThatWeStoppedIsNeverLeftStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy+restart)
	w.run()
	p, before := w.plan(), w.read()
	a := w.applier()
	a.Progress = func(e reconcile.Event) {
		if e.Step == "register" && e.Outcome == "" {
			w.server.Fault(nomadtest.Fault{Method: "PUT", Path: "/v1/jobs", Status: 400, Text: "the spec is refused", Times: 1})
		}
	}
	run, err := a.Apply(w.ctx(), p)
	if err != nil {
		t.Fatal(err)
	}
	if run.Result != history.RolledBack {
		t.Errorf("%s: %s", run.Result, run.Reason)
	}
	live := w.live()
	if live.State.Stopped || args(live.Job) != "-E script one" || w.read() != before {
		t.Errorf("stopped %v, args %s", live.State.Stopped, args(live.Job))
	}
}

func TestAnInterruptedRunCanGoOnOrBeUndone(t *testing.T) {
	for name, undo := range map[string]bool{"goes on": false, "undone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := healthy(t, setBroken)
			before := w.read()
			ctx, cancel := context.WithCancel(w.ctx())
			a := w.applier()
			a.Progress = func(e reconcile.Event) {
				if e.Step == "gate deployment" {
					cancel()
				}
			}
			_, err := a.Apply(ctx, w.plan())
			var open *reconcile.OpenError
			if !errors.As(err, &open) {
				t.Fatalf("want an open run, got %v", err)
			}
			if p := w.plan(); p.Condition != reconcile.Converging {
				t.Errorf("meanwhile: %s", p.Condition)
			}
			run, err := w.applier().Settle(w.ctx(), open.Run, policies.Rollout{}, undo)
			if err != nil {
				t.Fatal(err)
			}
			want := history.Converged
			if undo {
				want = history.RolledBack
			}
			if run.Result != want || (w.read() == before) != undo {
				t.Errorf("%s: %s", run.Result, run.Reason)
			}
		})
	}
}

func TestBesideLeavesABackupInTheFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.run()
	before := w.read()
	a := w.applier()
	a.Beside = true
	if _, err := a.Apply(w.ctx(), w.plan()); err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(w.file + ".backup.????????_??????")
	if len(found) != 1 {
		t.Fatalf("backups beside: %v", found)
	}
	if data, _ := os.ReadFile(found[0]); string(data) != before {
		t.Error("the backup is not the old file")
	}
}

// A variable that only the live submission gives a value is no hold; two files
// for one job stay one, whatever the submission gives.
func TestTheLiveSubmissionGivesVariables(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.edit(`"info"`, "var.level")
	w.write("jobs/web.hcl", "variable \"level\" {\n  type = string\n}\n\n"+w.read(), 0o640)
	f, diags := jobspec.Parse("web.hcl", []byte(w.read()), jobspec.Inputs{Vars: map[string]string{"level": "warn"}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	w.register(f.Job, f.Submission)
	if p := w.plan(); p.Condition != reconcile.OutOfSync || len(p.Variables) != 1 || p.Variables[0].Origin != "live submission" {
		t.Errorf("%s: %s %v", p.Condition, p.Reason, p.Variables)
	}
	w.write("jobs/again.hcl", w.read(), 0o640)
	if p := w.plan(); p.Condition != reconcile.Held || !strings.Contains(p.Reason, "two files, one job") {
		t.Errorf("%s: %s", p.Condition, p.Reason)
	}
}

// sideBySide has gates that wait, and one in the middle that fails soon.
const sideBySide = `
rollout "web" {
  match {
    job = ["web"]
  }

  gate "logs" "long" {
    forbid = ["never said"]
    window = "1m"
  }
  gate "http" "nobody" {
    url    = "http://127.0.0.1:1/"
    within = "200ms"
  }
  gate "logs" "soon" {
    require = ["ready"]
    window  = "10s"
  }
}
`

// The first gate that fails ends the wait of the others; all are in the record, in
// the order of the file.
func TestGatesAreAskedSideBySide(t *testing.T) {
	t.Parallel()
	w := healthy(t, setBroken+sideBySide)
	run := w.apply()
	if run.Result != history.RolledBack || !strings.HasPrefix(run.Reason, "gate http nobody: not within 200ms: ") {
		t.Errorf("%s: %s", run.Result, run.Reason)
	}
	var got []string
	for _, g := range run.Gates {
		got = append(got, strings.TrimSpace(g.Kind+" "+g.Name)+" "+string(g.Result))
	}
	want := "deployment ok, logs long cancelled, http nobody failed, logs soon ok, deployment after the rollback ok"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("\n got %s\nwant %s", s, want)
	}
	if run.Ended.Sub(run.Started) > 30*time.Second || !strings.Contains(run.Gates[1].Detail, "gate http nobody failed") {
		t.Errorf("after %s: %s", run.Ended.Sub(run.Started), run.Gates[1].Detail)
	}
}

func TestANewerRevisionEndsTheGates(t *testing.T) {
	t.Parallel()
	w := healthy(t, setBroken+strings.Replace(sideBySide, "200ms", "1m", 1))
	a := w.applier()
	a.Progress = func(e reconcile.Event) {
		if e.Step == "gate logs soon" && e.Outcome == history.OK {
			j := job.Clone(w.live().Job)
			j.Priority = new(70)
			if _, err := w.client.Register(w.ctx(), j, nil, *j.JobModifyIndex); err != nil {
				t.Error(err)
			}
		}
	}
	run, err := a.Apply(w.ctx(), w.plan())
	if err != nil {
		t.Fatal(err)
	}
	if run.Result != history.Failed || !strings.Contains(run.Reason, "a newer revision of the job (version 2) took over") {
		t.Errorf("%s: %s", run.Result, run.Reason)
	}
	if p := w.live().Job.Priority; *p != 70 {
		t.Errorf("the newer revision was overwritten: priority %d", *p)
	}
}

// A gate before the change also looks at what needs no registered job.
func TestAGateBeforeBlocksWithNothingTouched(t *testing.T) {
	t.Parallel()
	w := healthy(t, setBroken+strings.NewReplacer(`"http" "nobody" {`, "\"http\" \"nobody\" {\n    when = \"before\"").Replace(sideBySide))
	before := w.read()
	run := w.apply()
	if run.Result != history.Held || !strings.HasPrefix(run.Reason, "gate http nobody: not within 200ms") || !strings.HasSuffix(run.Reason, "nothing was touched") {
		t.Errorf("%s: %s", run.Result, run.Reason)
	}
	if w.read() != before {
		t.Error("the file was touched")
	}
}

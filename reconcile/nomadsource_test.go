package reconcile_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

// alone is a world whose job is registered as `nomad job run` does, and whose file is
// gone; `source "nomad" "running"` names the job.
func alone(t *testing.T, vars map[string]string) *world {
	t.Helper()
	w := newWorld(t, sudoPolicy)
	if vars != nil {
		w.edit(`job "web" {`, "variable \"level\" {}\n\njob \"web\" {")
		w.edit(`LOG_LEVEL = "info"`, "LOG_LEVEL = var.level")
	}
	f, diags := jobspec.Parse("web.hcl", []byte(w.read()), jobspec.Inputs{Vars: vars})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	w.register(f.Job, f.Submission)
	if err := os.Remove(w.file); err != nil {
		t.Fatal(err)
	}
	w.nomads = []reconcile.NomadSource{{Name: "running", Jobs: []string{"w*"}}}
	return w
}

func TestJobWithoutAFileIsMendedInItsSubmission(t *testing.T) {
	t.Parallel()
	w := alone(t, map[string]string{"level": "it's 5%+"})
	before := w.live()
	if p := w.plan(); p.File != "" || p.Source != "nomad:default/web" || p.Condition != reconcile.OutOfSync {
		t.Fatalf("%+v", p)
	}
	if run := w.apply(); run.Result != history.Converged || run.Source != "nomad:default/web" {
		t.Fatalf("%+v", run)
	}
	after := w.live()
	if got := args(after.Job); got != "script one" {
		t.Errorf("args %s", got)
	}
	want := *before.Submission
	want.Source = strings.Replace(want.Source, `"-E", `, "", 1)
	if d := cmp.Diff(&want, after.Submission); d != "" {
		t.Errorf("the submission (-want +got):\n%s", d)
	}
	if p := w.plan(); p.Condition != reconcile.InSync || p.Does() || len(p.Findings) > 0 {
		t.Errorf("afterwards: %s %s %v", p.Condition, p.Reason, p.Findings)
	}
	w.nomads = nil // nobody's file was removed: there never was one
	w.sync.Prune = reconcile.StopGone
	result, err := w.planner().Plan(w.ctx(), reconcile.Selection{}, w.sync)
	if err != nil || len(result.Plans) > 0 {
		t.Errorf("without the source: %+v, %v", result.Plans, err)
	}
}

func TestTheFileWinsOverANomadSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.run()
	w.nomads = []reconcile.NomadSource{{Name: "a", Jobs: []string{"*"}}, {Name: "b", Jobs: []string{"web"}}}
	if p := w.plan(); p.File == "" || p.Source != "" || !p.Will(reconcile.EditFile) || p.Hold != nil {
		t.Errorf("%+v", p)
	}
	if err := os.Remove(w.file); err != nil {
		t.Fatal(err)
	}
	if p := w.plan(); p.Source == "" || p.Hold != nil { // once, although two sources name it
		t.Errorf("%+v", p)
	}
	w.write("jobs/template.hcl", "job \"[[ .name ]]\" {", 0o644)
	result, err := w.planner().Plan(w.ctx(), reconcile.Selection{Jobs: []string{"web"}}, w.sync)
	if err != nil || len(result.Plans) != 1 || result.Plans[0].Hold == nil || result.Plans[0].Does() {
		t.Errorf("a file that may be its own cannot be read: %+v, %v", result.Plans, err)
	}
}

func TestSourceMissing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sub  func(*api.JobSubmission) *api.JobSubmission
		says string
	}{
		"none":            {func(*api.JobSubmission) *api.JobSubmission { return nil }, "keeps no source"},
		"JSON":            {func(*api.JobSubmission) *api.JobSubmission { return &api.JobSubmission{Source: "{}", Format: "json"} }, "does not parse"},
		"of another job":  {another(`job "web"`, `job "other"`), "which are other"},
		"of another spec": {another(`"one"`, `"two"`), "config.args"},
		"broken":          {another(`job "web" {`, `job "web" {{`), "does not parse"},
		"spoilt": {func(sub *api.JobSubmission) *api.JobSubmission {
			out := another(`"one"`, `var.a`)(sub)
			out.Source, out.VariableFlags = "variable \"a\" {}\n"+out.Source, map[string]string{"a": "on e"}
			return out
		}, "decodes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sudoPolicy)
			f, diags := jobspec.Parse("web.hcl", []byte(w.read()), jobspec.Inputs{})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			w.register(f.Job, tc.sub(f.Submission))
			if err := os.Remove(w.file); err != nil {
				t.Fatal(err)
			}
			w.nomads = []reconcile.NomadSource{{Name: "running", Jobs: []string{"web"}}}
			p := w.plan()
			i := slices.IndexFunc(p.Findings, func(f reconcile.Finding) bool { return f.Rule == "source.missing" })
			if i < 0 || !strings.Contains(p.Findings[i].Message, tc.says) || p.Findings[i].Denied() {
				t.Fatalf("findings %+v", p.Findings)
			}
			if run := w.apply(); run.Result != history.Converged {
				t.Fatalf("%+v", run)
			}
			if sub := w.live().Submission; sub == nil || sub.Format != "json" || strings.Contains(sub.Source, `"-E"`) {
				t.Errorf("its source is %+v", sub)
			}
			p = w.plan()
			if p.Condition != reconcile.InSync || len(p.Findings) != 1 || !strings.Contains(p.Findings[0].Message, "reconcile import web") {
				t.Errorf("afterwards: %s %+v", p.Condition, p.Findings)
			}
		})
	}
}

func another(old, by string) func(*api.JobSubmission) *api.JobSubmission {
	return func(sub *api.JobSubmission) *api.JobSubmission {
		out := *sub
		out.Source = strings.Replace(out.Source, old, by, 1)
		return &out
	}
}

// A fix that failed is not tried again, until the job or a policy is another.
func TestFailedFixWithoutAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `policy "env" {
  fix = true
  env {
    values = { LOG_LEVEL = "debug" }
  }
}
rollout "web" {
  gate "command" "no" {
    command = ["false"]
  }
}
`)
	w.edit(`"-E", `, "")
	w.run()
	if err := os.Remove(w.file); err != nil {
		t.Fatal(err)
	}
	w.nomads = []reconcile.NomadSource{{Name: "running", Jobs: []string{"*"}}}
	before := w.live()
	if run := w.apply(); run.Result != history.RolledBack {
		t.Fatalf("%+v", run)
	}
	if d := cmp.Diff(before.Submission, w.live().Submission); d != "" || w.live().Job.TaskGroups[0].Tasks[0].Env["LOG_LEVEL"] != "info" {
		t.Errorf("not what it was: %s", d)
	}
	w.sync.Person = false
	if p := w.plan(); p.Condition != reconcile.Held || !strings.Contains(p.Reason, "failed already") {
		t.Fatalf("%s: %s", p.Condition, p.Reason)
	}
	again := job.Clone(w.live().Job)
	again.TaskGroups[0].Tasks[0].Config["args"] = []any{filepath.Join(w.dir, "bin", "script"), "other"}
	w.register(again, nil)
	if p := w.plan(); strings.Contains(p.Reason, "failed already") {
		t.Errorf("another job: %s %s", p.Condition, p.Reason)
	}
	w.sync.Person = true
	if p := w.plan(); p.Condition != reconcile.OutOfSync || !p.Does() {
		t.Errorf("another job: %s %s", p.Condition, p.Reason)
	}
}

// A job that had no file when the run was made may have one now: it is not touched, and
// the plan says so.
func TestRollbackBesideANewFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "policy \"env\" {\n fix = true\n env {\n values = { LOG_LEVEL = \"debug\" }\n }\n}\n")
	w.edit(`"-E", `, "")
	w.run()
	text := w.read()
	if err := os.Remove(w.file); err != nil {
		t.Fatal(err)
	}
	w.nomads = []reconcile.NomadSource{{Name: "running", Jobs: []string{"*"}}}
	run := w.apply()
	for _, want := range []int{0, 1} {
		plan, err := w.planner().PlanRollback(w.ctx(), run.ID)
		if err != nil || !plan.Does() || len(plan.Notes) != want {
			t.Fatalf("%v %v, want %d notes", err, plan.Notes, want)
		}
		w.write("jobs/web.hcl", text, 0o640)
	}
}

// asked counts what a Nomad is asked for.
type asked struct {
	reconcile.Nomad
	mu    sync.Mutex
	lists [][]string
	jobs  []string
}

func (a *asked) Jobs(ctx context.Context, namespaces []string) ([]*api.JobListStub, error) {
	a.lists = append(a.lists, namespaces)
	return a.Nomad.Jobs(ctx, namespaces)
}

func (a *asked) Job(ctx context.Context, id job.ID) (*api.Job, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.jobs = append(a.jobs, id.Name)
	return a.Nomad.Job(ctx, id)
}

func TestNomadSourceReadsWhatItNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	if err := os.Remove(w.file); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api", "api-test", "web", "db/main"} {
		if _, err := w.client.Register(w.ctx(), stoppedJob(name), nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		source reconcile.NomadSource
		sel    reconcile.Selection
		lists  int
		want   string
	}{
		{reconcile.NomadSource{Jobs: []string{"api*", "db*"}, Exclude: []string{"*-test"}}, reconcile.Selection{}, 1, "api db/main"},
		{reconcile.NomadSource{Jobs: []string{"*"}, Namespaces: []string{"prod"}}, reconcile.Selection{}, 1, ""},
		{reconcile.NomadSource{Jobs: []string{"*"}, Namespaces: []string{"d*"}}, reconcile.Selection{Jobs: []string{"web"}}, 1, "web"},
		{reconcile.NomadSource{Jobs: []string{"*"}}, reconcile.Selection{Files: []string{"/x"}}, 0, ""},
	} {
		p, nomad := w.planner(), &asked{Nomad: w.client}
		p.Nomad, p.Nomads = nomad, []reconcile.NomadSource{tc.source}
		result, err := p.Plan(w.ctx(), tc.sel, w.sync)
		if err != nil {
			t.Fatal(err)
		}
		var planned []string
		for _, plan := range result.Plans {
			planned = append(planned, plan.ID.Name)
			if plan.Does() || plan.Condition != reconcile.InSync {
				t.Errorf("%s is stopped: %s %v", plan.ID, plan.Condition, plan.Actions)
			}
		}
		slices.Sort(nomad.jobs)
		if got := strings.Join(planned, " "); got != tc.want || strings.Join(nomad.jobs, " ") != tc.want || len(nomad.lists) != tc.lists {
			t.Errorf("%+v: planned %s, read %v, listed %v", tc.source, got, nomad.jobs, nomad.lists)
		}
	}
}

func stoppedJob(name string) *api.Job {
	task := &api.Task{Name: "t", Driver: "raw_exec", Config: map[string]any{"command": "true"}}
	return &api.Job{ID: &name, Name: &name, Namespace: new("default"), Type: new("service"), Stop: new(true), Datacenters: []string{"*"},
		TaskGroups: []*api.TaskGroup{{Name: new("g"), Tasks: []*api.Task{task}}}}
}

// A value that Nomad has spoilt by reading it is never taken for the job's.
func TestSpoiltValueIsNoValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.edit(`job "web" {`, "variable \"level\" {}\n\njob \"web\" {")
	w.edit(`LOG_LEVEL = "info"`, "LOG_LEVEL = var.level")
	w.edit(`"-E", `, "")
	f, diags := jobspec.Parse("web.hcl", []byte(w.read()), jobspec.Inputs{Vars: map[string]string{"level": "a b"}})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	w.register(f.Job, f.Submission)
	w.sync.Drift = reconcile.Correct
	if p := w.plan(); p.Condition != reconcile.InSync {
		t.Errorf("a space is no harm by itself: %s %s", p.Condition, p.Reason)
	}
	f.Job.TaskGroups[0].Tasks[0].Env["LOG_LEVEL"] = "a+b" // as if that had been given
	w.register(f.Job, f.Submission)
	if p := w.plan(); p.Hold == nil || p.Does() || !strings.Contains(p.Hold.Reason, "level") {
		t.Errorf("%s %s, %v", p.Condition, p.Reason, p.Actions)
	}
}

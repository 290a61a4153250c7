package reconcile_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
	"nomad-reconcile/state/source"
)

// world is a folder with one job file, policies, a history and a Nomad.
type world struct {
	t      *testing.T
	dir    string
	file   string
	server *nomadtest.Server
	client *nomad.Client
	store  *history.Store
	policy string
	sync   reconcile.Sync
	env    []string
	nomads []reconcile.NomadSource
}

var webID = job.ID{Namespace: "default", Name: "web"}

// webJob is healthy with any args but those that begin with -E, and what it says
// is in its log.
const webJob = `job "web" {
  type = "service"

  update {
    min_healthy_time  = "50ms"
    healthy_deadline  = "5s"
    progress_deadline = "6s"
  }

  group "web" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "web" {
      driver       = "raw_exec"
      kill_timeout = "1s"

      config {
        command = "sudo"
        args    = ["-E", "SCRIPT", "one"]
      }

      env {
        LOG_LEVEL = "info" # keep me
      }
    }
  }
}
`

const sudoPolicy = `policy "sudo" {
  enforce = "deny"
  fix     = true

  sudo {
    preserve_env = false
  }
}
`

func newWorld(t *testing.T, policy string) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, file: filepath.Join(dir, "jobs", "web.hcl"), policy: policy}
	w.write("bin/sudo", "#!/bin/sh\ncase \"$1\" in -E) echo 'sudo: sorry, you are not allowed to preserve the environment' >&2; exit 1;; esac\nexec \"$@\"\n", 0o755)
	w.write("bin/script", "#!/bin/sh\necho \"ready $LOG_LEVEL $1\"\necho \"$BROKEN\" >&2\n[ -n \"$CRASH\" ] && exit 3\nexec sleep 600\n", 0o755)
	w.write("jobs/web.hcl", strings.ReplaceAll(webJob, "SCRIPT", filepath.Join(dir, "bin", "script")), 0o640)
	var err error
	w.server, err = nomadtest.Start(nomadtest.Options{PATH: filepath.Join(dir, "bin"), Parse: parse})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.server.Close() })
	w.client = connect(t, w.server.URL())
	w.store = openStore(t, dir)
	w.sync = reconcile.Sync{Fix: true, Drift: reconcile.Report, Create: reconcile.Report, Prune: reconcile.Report, Person: true}
	return w
}

func parse(src, variables string) (*api.Job, error) {
	f, diags := jobspec.Parse("job", []byte(src), jobspec.Inputs{VarFiles: []jobspec.VarFile{{Name: "v", Bytes: []byte(variables)}}})
	if diags.HasErrors() {
		return nil, diags
	}
	return f.Job, nil
}

func connect(t *testing.T, url string) *nomad.Client {
	t.Helper()
	client, err := nomad.New(&api.Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func openStore(t *testing.T, dir string) *history.Store {
	t.Helper()
	store, err := history.Open(filepath.Join(dir, ".reconcile"), 20, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (w *world) write(name, text string, mode os.FileMode) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read() string {
	w.t.Helper()
	data, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// edit replaces a part of the job file, as a person would.
func (w *world) edit(old, by string) {
	w.t.Helper()
	text := w.read()
	if !strings.Contains(text, old) {
		w.t.Fatalf("the job file has no %q", old)
	}
	w.write("jobs/web.hcl", strings.Replace(text, old, by, 1), 0o640)
}

func (w *world) planner() *reconcile.Planner {
	w.t.Helper()
	set, diags := policies.Load([]policies.Source{{Name: "test.policy.hcl", Bytes: []byte(w.policy)}}, policies.Options{Gates: gates.Kinds()})
	if diags.HasErrors() {
		w.t.Fatal(diags)
	}
	return &reconcile.Planner{
		Sources: []reconcile.Source{{Directory: source.Directory{
			Name: "jobs", Path: filepath.Join(w.dir, "jobs"), Shown: "jobs", Include: []string{"**/*.hcl"},
		}}},
		Policies: set, Nomad: w.client, History: w.store, Namespaces: []string{"default"}, Concurrency: 2, Env: w.env, Nomads: w.nomads,
	}
}

func (w *world) applier() *reconcile.Applier {
	return &reconcile.Applier{Nomad: w.client, History: w.store, Kind: "apply", Clock: time.Now}
}

func (w *world) plan(jobs ...string) reconcile.Plan {
	w.t.Helper()
	result, err := w.planner().Plan(w.ctx(), reconcile.Selection{Jobs: jobs}, w.sync)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(result.Plans) != 1 {
		w.t.Fatalf("%d plans, want 1", len(result.Plans))
	}
	return result.Plans[0]
}

func (w *world) apply(jobs ...string) history.Run {
	w.t.Helper()
	run, err := w.applier().Apply(w.ctx(), w.plan(jobs...))
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// run registers the file as it is, as `nomad job run` does, and waits until its
// deployment has ended.
func (w *world) run() {
	w.t.Helper()
	f, diags := jobspec.Parse("web.hcl", []byte(w.read()), jobspec.Inputs{})
	if diags.HasErrors() {
		w.t.Fatal(diags)
	}
	w.register(f.Job, f.Submission)
}

func (w *world) register(j *api.Job, sub *api.JobSubmission) {
	w.t.Helper()
	var index uint64
	if live, err := w.client.Job(w.ctx(), webID); err == nil {
		index = *live.JobModifyIndex
	}
	done, err := w.client.Register(w.ctx(), j, sub, index)
	if err != nil {
		w.t.Fatal(err)
	}
	var at uint64
	for {
		ds, next, err := w.client.Deployments(w.ctx(), webID, at)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, d := range ds {
			if d.JobSpecModifyIndex == done.JobModifyIndex && d.Status != api.DeploymentStatusRunning {
				return
			}
		}
		at = next
	}
}

func (w *world) live() *reconcile.Live {
	w.t.Helper()
	live, err := reconcile.ReadLive(w.ctx(), w.client, webID)
	if err != nil {
		w.t.Fatal(err)
	}
	if live == nil {
		w.t.Fatal("the job is gone from Nomad")
	}
	return live
}

func args(j *api.Job) string {
	var out []string
	for _, a := range j.TaskGroups[0].Tasks[0].Config["args"].([]any) {
		out = append(out, filepath.Base(a.(string)))
	}
	return strings.Join(out, " ")
}

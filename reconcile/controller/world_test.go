package controller_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
	"nomad-reconcile/state/source"
)

const webJob = `job "web" {
  update {
    min_healthy_time  = "10ms"
    healthy_deadline  = "5s"
    progress_deadline = "6s"
  }

  group "web" {
    task "web" {
      driver       = "raw_exec"
      kill_timeout = "1s"

      config {
        command = "sudo"
        args    = ["-E", "sleep", "600"]
      }
    }
  }
}
`

const sudoPolicy = `policy "sudo" {
  fix = true

  sudo {
    preserve_env = false
  }
}
`

var webID = job.ID{Namespace: "default", Name: "web"}

// world is a folder of job files and policies, a Nomad, and an agent's setup.
type world struct {
	t      *testing.T
	dir    string
	server *nomadtest.Server
	client *nomad.Client
	setup  controller.Setup
	agent  *controller.Agent // the last one that was started
	lines  chan line
	seen   []line
	mended atomic.Pointer[func(*controller.Setup)] // is asked at each load; nil: nobody is
	cancel context.CancelFunc
	ended  chan error
}

// line is one of the agent's log.
type line struct {
	Level                             int
	Msg, Error, Job, Condition        string
	Result, Reason, Because, File, At string
	Actions, Left                     []string
	Waiting                           int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), lines: make(chan line, 10_000), ended: make(chan error, 1)}
	w.write("bin/sudo", "#!/bin/sh\n[ \"$1\" = -E ] && shift\nexec \"$@\"\n", 0o755)
	w.write("jobs/web.hcl", webJob, 0o644)
	w.write("policies/test.policy.hcl", sudoPolicy, 0o644)
	var err error
	w.server, err = nomadtest.Start(nomadtest.Options{PATH: filepath.Join(w.dir, "bin") + ":" + os.Getenv("PATH"), Parse: parse})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.server.Close() })
	if w.client, err = nomad.New(&api.Config{Address: w.server.URL()}); err != nil {
		t.Fatal(err)
	}
	store, err := history.Open(filepath.Join(w.dir, ".reconcile"), 20, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w.setup = controller.Setup{
		Applier:     &reconcile.Applier{Nomad: w.client, History: store, Kind: "agent", Clock: time.Now},
		Sync:        reconcile.Sync{Drift: reconcile.Report, Create: reconcile.Report, Prune: reconcile.Report},
		Concurrency: 2, MaxChanges: 5, Interval: time.Hour, Settle: 5 * time.Millisecond, Shutdown: 30 * time.Second,
		Trees: []string{filepath.Join(w.dir, "jobs")}, Policies: []string{filepath.Join(w.dir, "policies")}, Nomad: w.client,
	}
	return w
}

func parse(src, variables string) (*api.Job, error) {
	f, diags := jobspec.Parse("job", []byte(src), jobspec.Inputs{})
	if diags.HasErrors() {
		return nil, diags
	}
	return f.Job, nil
}

func (w *world) load() (controller.Setup, error) {
	name := filepath.Join(w.dir, "policies", "test.policy.hcl")
	text, err := os.ReadFile(name)
	if err != nil {
		return controller.Setup{}, err
	}
	set, diags := policies.Load([]policies.Source{{Name: "test.policy.hcl", Bytes: text}}, policies.Options{Gates: gates.Kinds()})
	if diags.HasErrors() {
		return controller.Setup{}, diags
	}
	s := w.setup
	s.Planner = &reconcile.Planner{
		Sources: []reconcile.Source{{Directory: source.Directory{
			Name: "jobs", Path: filepath.Join(w.dir, "jobs"), Shown: "jobs", Include: []string{"**/*.hcl"},
		}}},
		Policies: set, Nomad: w.client, History: s.Applier.History, Namespaces: []string{"default"}, Concurrency: 2, Clock: time.Now,
	}
	s.Revision = set.Revision()
	if mend := w.mended.Load(); mend != nil {
		(*mend)(&s)
	}
	return s, nil
}

func (w *world) start() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	agent := &controller.Agent{Load: w.load, Log: w.logger()}
	w.agent = agent
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.ended <- agent.Run(ctx)
	}()
	w.t.Cleanup(func() { cancel(); <-done })
}

func (w *world) logger() logr.Logger {
	return funcr.NewJSON(func(obj string) {
		var l line
		if err := json.Unmarshal([]byte(obj), &l); err != nil {
			l.Error = err.Error() + ": " + obj
		}
		w.lines <- l
	}, funcr.Options{Verbosity: 1})
}

// await reads the log up to a line, which it returns.
func (w *world) await(what string, is func(line) bool) line {
	w.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case l := <-w.lines:
			w.seen = append(w.seen, l)
			if is(l) {
				return l
			}
		case err := <-w.ended:
			w.t.Fatalf("the agent has ended (%v) before: %s\n%+v", err, what, w.seen)
		case <-limit:
			w.t.Fatalf("not seen: %s\n%+v", what, w.seen)
		}
	}
}

func (w *world) awaitRun(name string) line {
	w.t.Helper()
	return w.await("a run of "+name, func(l line) bool { return l.Msg == "run" && l.Job == name })
}

func (w *world) awaitConverged(name string) {
	w.t.Helper()
	if l := w.awaitRun(name); l.Result != "converged" {
		w.t.Fatalf("%+v", l)
	}
}

func (w *world) awaitDecided(name, condition string) line {
	w.t.Helper()
	return w.await(name+" "+condition, func(l line) bool { return l.Msg == "decided" && l.Job == name && l.Condition == condition })
}

// awaitPasses reads on until n more passes have begun.
func (w *world) awaitPasses(n int) {
	w.t.Helper()
	for range n {
		w.await("a pass", func(l line) bool { return l.Msg == "pass" })
	}
}

// end stops the agent as SIGTERM does and reads the rest of its log.
func (w *world) end() {
	w.t.Helper()
	w.cancel()
	select {
	case err := <-w.ended:
		if err != nil {
			w.t.Error(err)
		}
	case <-time.After(30 * time.Second):
		w.t.Fatal("the agent does not end")
	}
	for len(w.lines) > 0 {
		w.seen = append(w.seen, <-w.lines)
	}
}

// count is how many lines of the log that an operator sees have that message
// and job.
func (w *world) count(msg, name string) int {
	n := 0
	for _, l := range w.seen {
		if l.Level == 0 && l.Msg == msg && l.Job == name {
			n++
		}
	}
	return n
}

func (w *world) write(name, text string, mode os.FileMode) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode))
	if err != nil {
		w.t.Fatal(err)
	}
}

// replace does as editors do: a new file takes the old one's name.
func (w *world) replace(name, text string) {
	w.t.Helper()
	w.write("jobs/.swap", text, 0o644)
	if err := os.Rename(filepath.Join(w.dir, "jobs/.swap"), filepath.Join(w.dir, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.RemoveAll(filepath.Join(w.dir, name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) fileHasE(name string) bool {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.Contains(string(text), `"-E"`)
}

// register does as `nomad job run` of a file with that text does.
func (w *world) register(text string) {
	w.t.Helper()
	w.registerID(webID, text)
}

func (w *world) registerID(id job.ID, text string) {
	w.t.Helper()
	f, diags := jobspec.Parse("web.hcl", []byte(text), jobspec.Inputs{})
	if diags.HasErrors() {
		w.t.Fatal(diags)
	}
	var index uint64
	if live, err := w.client.Job(w.t.Context(), id); err == nil {
		index = *live.JobModifyIndex
	}
	if _, err := w.client.Register(w.t.Context(), f.Job, f.Submission, index); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) live() *api.Job {
	w.t.Helper()
	live, err := w.client.Job(w.t.Context(), webID)
	if err != nil {
		w.t.Fatal(err)
	}
	return live
}

func (w *world) liveHasE() bool {
	w.t.Helper()
	return slices.Contains(w.live().TaskGroups[0].Tasks[0].Config["args"].([]any), any("-E"))
}

// another is the same job under another name.
func another(name string) string { return strings.Replace(webJob, `job "web"`, `job "`+name+`"`, 1) }

var withoutE = strings.Replace(webJob, `"-E", `, "", 1)

func idOf(name string) job.ID { return job.ID{Namespace: "default", Name: name} }

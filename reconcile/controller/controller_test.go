package controller_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/nomad/nomadtest"
)

func TestMendsFileAndLiveJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Interval = true, 100*time.Millisecond
	w.register(webJob)
	w.start()
	w.awaitConverged("web")
	if w.fileHasE("jobs/web.hcl") || w.liveHasE() {
		t.Error("-E is still there")
	}
	w.awaitDecided("web", "in_sync")
	w.replace("jobs/web.hcl", webJob)
	w.awaitConverged("web")
	if w.fileHasE("jobs/web.hcl") {
		t.Error("-E is back in the file")
	}
	w.awaitDecided("web", "in_sync")
	w.register(webJob)
	w.awaitConverged("web")
	if w.liveHasE() {
		t.Error("-E is back in the live job")
	}
}

// By default the agent only tells, and it tells once.
func TestOnlyReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Interval = 10 * time.Millisecond
	w.register(withoutE)
	w.start()
	if l := w.awaitDecided("web", "out_of_sync"); len(l.Actions) != 0 || len(l.Left) == 0 {
		t.Errorf("%+v", l)
	}
	w.awaitPasses(4)
	w.end()
	// Health comes a little later, and with it another decision.
	told := map[string]int{}
	for _, l := range w.seen {
		if l.Level == 0 && l.Msg == "decided" {
			told[l.Condition+l.Reason]++
		}
	}
	for what, n := range told {
		if n > 1 {
			t.Errorf("told %d times: %s", n, what)
		}
	}
	if !w.fileHasE("jobs/web.hcl") || *w.live().Version != 0 {
		t.Error("file or job were touched")
	}
}

// A job that is refused is planned anew with each pass, and told of once.
func TestHeldIsToldOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Interval = true, 10*time.Millisecond
	w.refuse(0)
	w.start()
	if l := w.awaitRun("web"); l.Result != "held" {
		t.Errorf("%+v", l)
	}
	w.awaitPasses(4)
	w.end()
	if d, r := w.count("decided", "web"), w.count("run", "web"); d != 1 || r != 1 {
		t.Errorf("decided %d times, run %d times: %+v", d, r, w.seen)
	}
}

// refuse makes Nomad refuse to parse files: those runs are held.
func (w *world) refuse(times int) {
	w.server.Fault(nomadtest.Fault{Path: "/v1/jobs/parse*", Times: times, Status: http.StatusInternalServerError, Text: "not that one"})
}

func TestBrokenPolicyLeavesTheLastInForce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true
	w.start()
	w.awaitConverged("web")
	w.write("policies/test.policy.hcl", "policy {", 0o644)
	w.await("the mistake", func(l line) bool { return l.Error != "" && l.Msg != "" })
	w.replace("jobs/web.hcl", webJob)
	w.awaitConverged("web")
	if w.fileHasE("jobs/web.hcl") {
		t.Error("-E is back")
	}
}

func TestFirstLoadMustSucceed(t *testing.T) {
	t.Parallel()
	want := errors.New("mistake")
	agent := controller.Agent{Load: func() (controller.Setup, error) { return controller.Setup{}, want }}
	if err := agent.Run(t.Context()); !errors.Is(err, want) {
		t.Error(err)
	}
}

func TestMaxChanges(t *testing.T) {
	t.Parallel()
	for name, held := range map[string]bool{"first come": false, "a held one takes no place": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setup.Sync.Fix, w.setup.MaxChanges, w.setup.Settle = true, 1, time.Hour
			w.write("jobs/a.hcl", another("a"), 0o644)
			w.write("jobs/b.hcl", another("b"), 0o644)
			changed, same := "jobs/a.hcl", "jobs/b.hcl"
			if held {
				w.refuse(1)
				changed, same = same, changed
			}
			w.start()
			want := map[bool]int{false: 2, true: 1}[held]
			w.await("the limit", func(l line) bool { return l.Waiting == want })
			w.awaitOrSeen("the run", func(l line) bool { return l.Msg == "run" && l.Result == "converged" })
			if w.fileHasE(changed) || !w.fileHasE(same) || !w.fileHasE("jobs/web.hcl") {
				t.Errorf("%+v", w.seen)
			}
		})
	}
}

func TestEndsAfterTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Concurrency = true, 1
	w.write("jobs/zz.hcl", another("zz"), 0o644)
	begun := make(chan struct{}, 1)
	goOn := make(chan struct{})
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if e.Step == "register" && e.Outcome == "" {
			begun <- struct{}{}
			<-goOn
		}
	}
	w.register(webJob)
	w.start()
	<-begun
	w.cancel()
	close(goOn)
	w.end()
	w.expectConverged("web")
	if w.liveHasE() || w.fileHasE("jobs/web.hcl") {
		t.Error("the run was cut off")
	}
	if !w.fileHasE("jobs/zz.hcl") {
		t.Error("a run was begun after the end")
	}
	if open, err := w.setup.Applier.History.Unfinished(); err != nil || len(open) > 0 {
		t.Errorf("open: %v, %v", open, err)
	}
	if last := w.seen[len(w.seen)-1]; last.Msg != "stopped" {
		t.Errorf("%+v", last)
	}
}

func (w *world) expectConverged(name string) {
	w.t.Helper()
	if !slices.ContainsFunc(w.seen, func(l line) bool { return l.Msg == "run" && l.Job == name && l.Result == "converged" }) {
		w.t.Errorf("no run of %s has converged: %+v", name, w.seen)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		prune    string
		interval time.Duration
		stops    bool
	}{
		{"after the grace", reconcile.StopGone, 500 * time.Millisecond, true},
		{"not for passes that events bring", reconcile.StopGone, time.Hour, false},
		{"not by default", reconcile.Report, 50 * time.Millisecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setup.Sync.Fix, w.setup.Sync.Prune, w.setup.Interval = true, c.prune, c.interval
			w.register(webJob)
			w.start()
			w.awaitConverged("web")
			w.remove("jobs/web.hcl")
			if l := w.awaitDecided("web", "orphan"); len(l.Actions) != 0 || len(l.Left) != 1 {
				t.Errorf("without grace: %+v", l)
			}
			if c.stops {
				w.awaitConverged("web")
			} else {
				for _, name := range []string{"x", "y"} {
					w.write("jobs/"+name+".hcl", another(name), 0o644)
					w.awaitConverged(name)
				}
			}
			if *w.live().Stop != c.stops {
				t.Errorf("stopped: %t", !c.stops)
			}
		})
	}
}

// A run that a crash left open after its write is gone on with first.
func TestSettlesOpenRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	store, path := w.setup.Applier.History, filepath.Join(w.dir, "jobs", "web.hcl")
	journal, err := store.Begin(
		history.Run{Job: webID, Kind: "apply", Started: time.Now(), File: "jobs/web.hcl", Actions: []string{"edit"}, Strategy: "update", OnFailure: "rollback", NewFile: history.Hash([]byte(withoutE))},
		history.Prior{File: "jobs/web.hcl", Path: path, Root: filepath.Join(w.dir, "jobs"), Bytes: []byte(webJob), Mode: 0o644},
		history.Next{Bytes: []byte(withoutE)})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(journal.Intend("write", 0), journal.Abandon(), os.WriteFile(path, []byte(withoutE), 0o644)); err != nil {
		t.Fatal(err)
	}
	w.start()
	if l := w.await("settled", func(l line) bool { return l.Msg == "settled" }); l.Result != "converged" || l.Job != "web" {
		t.Errorf("%+v", l)
	}
	w.awaitDecided("web", "out_of_sync") // Nomad does not know it
	if open, err := store.Unfinished(); err != nil || len(open) > 0 {
		t.Errorf("open: %v, %v", open, err)
	}
}

// Folders that come, go and come back are seen without waiting for the interval.
func TestFoldersThatMove(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true
	w.start()
	w.awaitConverged("web")
	for _, name := range []string{"a", "b"} {
		w.write("jobs/new/deep/"+name+".hcl", another(name), 0o644)
		w.awaitConverged(name)
		w.replace("jobs/new/deep/"+name+".hcl", another(name))
		w.awaitConverged(name)
		w.remove("jobs/new")
	}
	w.remove("jobs")
	w.await("the folder is missed", func(l line) bool { return strings.HasPrefix(l.Msg, "a source cannot be read") })
	w.write("jobs/c.hcl", another("c"), 0o644)
	w.awaitConverged("c")
}

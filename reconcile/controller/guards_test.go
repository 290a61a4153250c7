package controller_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

func (w *world) store() *history.Store { return w.setup.Applier.History }

func (w *world) suspend(name, reason string) {
	w.t.Helper()
	if err := w.store().Suspend(history.Suspension{Job: name, Reason: reason}); err != nil {
		w.t.Fatal(err)
	}
}

func TestSuspendedAndResumed(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"web", ""} {
		t.Run("suspended "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setup.Sync.Fix = true
			w.setup.Files = []string{w.store().SuspendedFile()}
			w.register(webJob)
			w.suspend(name, "moving house")
			w.start()
			if l := w.awaitDecided("web", "held"); !strings.Contains(l.Reason, "moving house") {
				t.Errorf("%+v", l)
			}
			if _, err := w.store().Unsuspend(name); err != nil { // which is heard at once: the interval is an hour
				t.Fatal(err)
			}
			w.awaitConverged("web")
		})
	}
}

// A suspension that comes while the pass is busy with other jobs is heeded too.
func TestSuspendedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Concurrency = true, 1
	w.write("jobs/zz.hcl", another("zz"), 0o644)
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if e.Job.Name == "web" && e.Step == "write" {
			w.suspend("zz", "now")
		}
	}
	w.start()
	w.awaitConverged("web")
	w.await("zz is left alone", func(l line) bool { // before its run, or at its beginning
		return l.Job == "zz" && (l.Msg == "decided" && l.Reason == "suspended: now" || l.Msg == "run" && l.Reason == "it was suspended meanwhile")
	})
	if !w.fileHasE("jobs/zz.hcl") {
		t.Error("it was changed")
	}
}

// Somebody who puts the old job back three times is not fought for ever, and a
// person's run ends the hold.
func TestFight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Interval = true, 50*time.Millisecond
	w.register(webJob)
	w.start()
	for range 3 {
		w.awaitConverged("web")
		w.register(webJob)
	}
	l := w.awaitDecided("web", "held")
	if !strings.Contains(l.Reason, "fight: the fix was undone 3 times") {
		t.Errorf("%+v", l)
	}
	w.awaitPasses(2)
	if runs, err := w.store().Runs(&webID); err != nil || len(runs) != 3 || !w.liveHasE() {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	setup, err := w.load()
	if err != nil {
		t.Fatal(err)
	}
	person := &reconcile.Applier{Nomad: w.client, History: w.store(), Clock: time.Now}
	person.Kind = "apply"
	result, err := setup.Planner.Plan(t.Context(), reconcile.Selection{}, reconcile.Sync{Fix: true, Person: true})
	if err != nil {
		t.Fatal(err)
	}
	if run, err := person.Apply(t.Context(), result.Plans[0]); err != nil || run.Result != history.Converged || len(result.Plans[0].Notes) != 1 {
		t.Fatalf("%+v, %v", run, err)
	}
	w.awaitDecided("web", "in_sync")
	w.register(webJob)
	w.awaitConverged("web")
}

// registerAs registers a job of that text, under its own name.
func (w *world) registerAs(name, text string) {
	w.t.Helper()
	w.write("jobs/"+name+".hcl", text, 0o644)
	w.registerID(job.ID{Namespace: "default", Name: name}, text)
}

// crashes: this very job is healthy only as long as nobody mends it.
func crashes(name string) string {
	patient := strings.Replace(another(name), `min_healthy_time  = "10ms"`, `min_healthy_time  = "2s"`, 1)
	return strings.Replace(patient, `"sleep", "600"`, `"sh", "-c", "exit 1"`, 1)
}

// Under new policies one job goes first; the others follow when it has converged.
func TestOneJobFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Concurrency = true, 4
	w.register(webJob)
	for _, name := range []string{"a", "b"} {
		w.registerAs(name, another(name))
	}
	var mu sync.Mutex
	var order []string
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if e.Step == "register" && e.Outcome == "" || e.Step == "gate deployment" && e.Outcome != "" {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, e.Job.Name+" "+e.Step)
		}
	}
	w.start()
	for range 3 {
		w.await("a run", func(l line) bool { return l.Msg == "run" && l.Result == "converged" })
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(order[:2], ", "); got != "a register, a gate deployment" {
		t.Errorf("%v", order)
	}
}

// One whose gates fail pauses that revision of the policies for all jobs; another
// revision is another try.
func TestFirstRunFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true
	w.registerAs("a", crashes("a"))
	w.register(webJob)
	w.start()
	if l := w.awaitRun("a"); l.Result != "rolled_back" && l.Result != "failed" {
		t.Errorf("%+v", l)
	}
	w.await("the others wait", func(l line) bool { return strings.Contains(l.Msg, "the others wait") && l.Waiting == 1 })
	w.write("jobs/b.hcl", another("b"), 0o644) // a job that comes meanwhile, and brings a pass
	paused := map[string]bool{}
	w.await("both are held", func(l line) bool {
		if l.Condition == "held" && strings.Contains(l.Reason, "failed its first run on a (run ") {
			paused[l.Job] = true
		}
		return paused["b"] && paused["web"]
	})
	if !w.fileHasE("jobs/web.hcl") || !w.fileHasE("jobs/b.hcl") || !w.liveHasE() {
		t.Error("a job was touched by policies that are paused")
	}
	w.remove("jobs/a.hcl")
	w.write("policies/test.policy.hcl", sudoPolicy+"# mended\n", 0o644)
	w.awaitConverged("web")
}

// A plan that turns out to be held proves nothing, and the next one is tried.
func TestFirstIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.MaxChanges = true, 2
	w.register(webJob)
	for _, name := range []string{"a", "b"} {
		w.registerAs(name, another(name))
	}
	w.refuse(1)
	w.start()
	if l := w.awaitRun("a"); l.Result != "held" {
		t.Errorf("%+v", l)
	}
	for range 2 { // its place is another's; its own again, if something moves it meanwhile
		w.await("a run that converges", func(l line) bool { return l.Msg == "run" && l.Result == "converged" })
	}
	if w.count("run", "b") != 1 {
		t.Errorf("%+v", w.seen)
	}
}

// Twenty jobs at once: limits.concurrency of them are under way, never more. Each
// run waits at its register until it is let go, one for each that has come.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	const jobs, limit = 20, 4
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Concurrency, w.setup.MaxChanges = true, limit, jobs+1
	w.remove("jobs/web.hcl")
	for i := range jobs {
		name := fmt.Sprintf("job-%02d", i)
		w.registerAs(name, strings.Replace(another(name), "  group", "  # "+name+"\n  group", 1))
	}
	gate := &turnstile{limit: limit, total: jobs}
	w.setup.Applier.Progress = gate.event
	w.proven() // else one goes first
	w.start()
	for range jobs {
		w.await("a run", func(l line) bool { return l.Msg == "run" && l.Result == "converged" })
	}
	if most := gate.most(); most != limit {
		t.Errorf("%d runs under way at once, want %d", most, limit)
	}
}

// proven leaves a run in the history that converged under the policies of the test.
func (w *world) proven() {
	w.t.Helper()
	setup, err := w.load()
	if err != nil {
		w.t.Fatal(err)
	}
	j, err := w.store().Begin(history.Run{Job: webID, Kind: "apply", Basis: history.Basis{Policies: setup.Planner.Policies.Revision()}}, history.Prior{}, history.Next{})
	if err == nil {
		err = j.Gate(history.GateResult{Kind: "deployment", Result: history.OK})
	}
	if err == nil {
		err = j.Close(history.Converged, "", 0)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// turnstile holds runs at their register until as many as the limit are there, and
// then lets one go for each that comes, and the last ones together.
type turnstile struct {
	mu      sync.Mutex
	limit   int
	total   int // runs that will come
	under   int // runs under way
	highest int
	came    int
	waiting []chan struct{}
}

func (s *turnstile) most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.highest
}

// event is for an Applier's Progress.
func (s *turnstile) event(e reconcile.Event) {
	switch {
	case e.Step == "register" && e.Outcome == "":
		<-s.enter()
	case e.Step == "gate deployment" && e.Outcome != "":
		s.mu.Lock()
		defer s.mu.Unlock()
		s.under--
	}
}

func (s *turnstile) enter() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.came++
	s.under++
	s.highest = max(s.highest, s.under)
	turn := make(chan struct{})
	s.waiting = append(s.waiting, turn)
	switch {
	case s.came == s.total:
		s.release(len(s.waiting))
	case s.came >= s.limit:
		s.release(1)
	}
	return turn
}

func (s *turnstile) release(n int) {
	for _, turn := range s.waiting[:n] {
		close(turn)
	}
	s.waiting = s.waiting[n:]
}

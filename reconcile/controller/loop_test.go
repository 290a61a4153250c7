package controller_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/nomad/nomadtest"
)

// calls counts what is asked of Nomad.
type calls struct {
	mu sync.Mutex
	n  map[string]int
}

func (w *world) counted() *calls {
	c := &calls{n: map[string]int{}}
	w.client.Observe = func(call string, _ time.Duration, _ error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.n[call]++
	}
	return c
}

// since are the calls since the last time, but for the event stream's.
func (c *calls) since() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.n, "events_follow")
	delete(c.n, "events_check")
	out := fmt.Sprint(c.n)
	clear(c.n)
	return out
}

// mock is a job that runs without a process.
func mock(name string) string {
	return fmt.Sprintf(`job %q {
  update {
    min_healthy_time  = "0s"
    healthy_deadline  = "5s"
    progress_deadline = "6s"
  }

  group "g" {
    task "t" {
      driver = "mock_driver"

      config {
        run_for = "1h"
        args    = ["one"]
      }
    }
  }
}
`, name)
}

// fleet registers n mock jobs, waits until all are healthy, and leaves no other.
func (w *world) fleet(n int) {
	w.t.Helper()
	w.remove("jobs/web.hcl")
	for i := range n {
		name := fmt.Sprintf("job-%03d", i)
		w.registerAs(name, mock(name))
	}
	for {
		stubs, _, err := w.client.List(w.t.Context(), []string{"default"})
		if err != nil {
			w.t.Fatal(err)
		}
		healthy := 0
		for _, s := range stubs {
			if live, err := w.client.Job(w.t.Context(), idOf(s.ID)); err == nil && live.Stable != nil && *live.Stable {
				healthy++
			}
		}
		if healthy == n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// A cold start asks once for each job and once for the list; after a restart the list
// alone is asked for, and nothing is read.
func TestColdAndWarmStart(t *testing.T) {
	t.Parallel()
	const n = 30
	w := newWorld(t)
	w.fleet(n)
	time.Sleep(60 * time.Millisecond) // a file that was written in this very moment is read again
	c := w.counted()
	w.start()
	w.await("the first pass", func(l line) bool { return l.Msg == "first pass done" })
	if got, want := c.since(), fmt.Sprintf("map[job_read:%d jobs_list:1]", n); got != want {
		t.Errorf("cold: %s, want %s", got, want)
	}
	w.end()
	c.since()
	w.start()
	w.await("the first pass", func(l line) bool { return l.Msg == "first pass done" })
	if got := c.since(); got != "map[jobs_list:1]" {
		t.Errorf("warm: %s", got)
	}
	w.end()
	w.setup.Interval = 100 * time.Millisecond
	w.start()
	w.awaitPasses(3)
	c.since()
	w.awaitPasses(2) // between the two there is one whole pass
	if got := c.since(); !strings.HasPrefix(got, "map[jobs_list:") || strings.Contains(got, " ") {
		t.Errorf("at rest: %s", got)
	}
	if o := w.agent.Overview(); len(o.Jobs) != n || o.Jobs[0].Condition != reconcile.InSync || o.Jobs[0].File != "jobs/job-000.hcl" {
		t.Errorf("%d jobs, %+v", len(o.Jobs), o.Jobs[0])
	}
}

// What moves while the agent is away is found when it comes back, and nothing else is
// looked at.
func TestMovedWhileAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Interval = true, time.Hour
	w.fleet(6)
	time.Sleep(60 * time.Millisecond)
	w.start()
	w.await("the first pass", func(l line) bool { return l.Msg == "first pass done" })
	w.end()
	sudo := func(name string) string {
		return strings.Replace(strings.Replace(mock(name), `run_for`, "command = \"sudo\"\n        run_for", 1), `"one"`, `"-E", "one"`, 1)
	}
	w.registerID(idOf("job-001"), sudo("job-001"))
	w.write("jobs/job-003.hcl", sudo("job-003"), 0o644)
	w.remove("jobs/job-005.hcl")
	looked := map[string]bool{}
	from := len(w.seen)
	w.start()
	mended := map[string]bool{}
	w.await("both are mended", func(l line) bool {
		if l.Msg == "run" && l.Result == "converged" {
			mended[l.Job] = true
		}
		return mended["job-001"] && mended["job-003"]
	})
	w.end()
	for _, l := range w.seen[from:] {
		if l.Msg == "decided" {
			looked[l.Job] = true
		}
	}
	if looked["job-000"] || looked["job-002"] || looked["job-004"] || !looked["job-001"] || !looked["job-003"] {
		t.Errorf("looked at %v", looked)
	}
}

// The last run of a job that was in sync is known after a restart, with its end.
func TestLastRunAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true
	w.register(webJob)
	w.start()
	w.awaitConverged("web")
	w.awaitDecided("web", "in_sync")
	w.end()
	time.Sleep(60 * time.Millisecond) // a file that was written in this very moment is read again
	w.start()
	w.await("the first pass", func(l line) bool { return l.Msg == "first pass done" })
	last := w.agent.Overview().Jobs[0].LastRun
	if last == nil || last.Result != "converged" || last.Ended.IsZero() || last.Kind != reconcile.AgentKind {
		t.Errorf("%+v", last)
	}
}

// A live job that somebody breaks is mended from Nomad's event alone, also when the
// stream was cut before.
func TestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true // and an interval of an hour
	w.register(webJob)
	w.start()
	w.awaitConverged("web")
	w.awaitDecided("web", "in_sync")
	for range 2 {
		w.register(webJob)
		w.awaitConverged("web")
		w.server.CutStreams()
	}
	if w.liveHasE() {
		t.Error("-E is back")
	}
}

// A thousand events are one look.
func TestBurst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Settle = 100 * time.Millisecond
	w.register(webJob)
	w.start()
	w.awaitDecided("web", "out_of_sync")
	c := w.counted()
	for i := range 1000 {
		w.write("jobs/web.hcl", fmt.Sprintf("%s# %d\n", withoutE, i), 0o644)
	}
	w.await("it is seen", func(l line) bool {
		return l.Msg == "decided" && l.Job == "web" && strings.HasPrefix(l.Reason, "1 to fix in the live job")
	})
	w.end()
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.n["job_read"]; n > 3 { // the burst may take longer than the quiet time
		t.Errorf("%d looks", n)
	}
}

// A Nomad that is away is waited for, and nothing is lost meanwhile.
func TestNomadAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true
	w.register(webJob)
	w.server.Fault(nomadtest.Fault{Path: "/v1/*", Times: 3, Status: 502, Text: "bad gateway"})
	w.start()
	w.await("it is told", func(l line) bool { return strings.HasPrefix(l.Msg, "Nomad cannot be asked") })
	if o := w.agent.Overview(); o.NomadErr == "" || o.Ready {
		t.Errorf("%+v", o)
	}
	w.await("it is back", func(l line) bool { return l.Msg == "Nomad answers again" })
	w.awaitConverged("web")
}

// In a window of calm nothing is changed; when it ends, what waits gets its turn.
func TestCalm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true
	end := time.Now().Add(1500 * time.Millisecond)
	w.setup.Calm = func(t time.Time) (time.Time, bool) { return end, t.Before(end) }
	w.register(webJob)
	w.start()
	w.await("it is told", func(l line) bool { return strings.HasPrefix(l.Msg, "calm") })
	if o := w.agent.Overview(); !o.Calm.Equal(end) || o.Jobs[0].Condition != reconcile.OutOfSync || !strings.HasPrefix(o.Jobs[0].Next[0], "waits until the window of calm ends") {
		t.Errorf("%+v", o)
	}
	if !w.fileHasE("jobs/web.hcl") || !w.liveHasE() {
		t.Error("it was changed")
	}
	w.awaitConverged("web")
	if time.Now().Before(end) {
		t.Error("it did not wait")
	}
}

// A file that cannot be written is tried again later, not at once, and its job says so.
func TestComesToNothing(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Log("root may write everything: the folder is in the way instead")
	}
	w := newWorld(t)
	w.setup.Sync.Fix = true
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if e.Step == "write" && e.Outcome == "" { // between the plan and the write
			path := filepath.Join(w.dir, "jobs/web.hcl")
			if err := os.WriteFile(path, []byte(strings.Replace(webJob, "600", fmt.Sprint(time.Now().UnixNano()), 1)), 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	w.start()
	for range 2 {
		if l := w.awaitRun("web"); l.Result != "rolled_back" {
			t.Errorf("%+v", l)
		}
	}
}

// The end waits for a run as long as shutdown says, then leaves it open, and the next
// start goes on with it.
func TestParks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Shutdown = true, 10*time.Millisecond
	slow := strings.Replace(webJob, `min_healthy_time  = "10ms"`, `min_healthy_time  = "3s"`, 1)
	w.write("jobs/web.hcl", slow, 0o644)
	w.register(slow)
	registered := make(chan struct{}, 2)
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if e.Step == "register" && e.Outcome != "" {
			registered <- struct{}{}
		}
	}
	w.start()
	<-registered
	w.end()
	open, err := w.store().Unfinished()
	if err != nil || len(open) != 1 {
		t.Fatalf("open: %v, %v", open, err)
	}
	w.start()
	if l := w.await("settled", func(l line) bool { return l.Msg == "settled" }); l.Result != "converged" {
		t.Errorf("%+v", l)
	}
	if w.liveHasE() || w.fileHasE("jobs/web.hcl") {
		t.Error("-E is still there")
	}
}

// Two files that mean one job are a hold from the moment that there are two, whichever
// was there first, and none when one goes.
func TestTwoFilesOneJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true
	w.start()
	w.awaitConverged("web")
	w.write("jobs/again.hcl", webJob, 0o644)
	if l := w.awaitDecided("web", "held"); !strings.HasPrefix(l.Reason, "two files, one job") {
		t.Errorf("%+v", l)
	}
	w.remove("jobs/again.hcl")
	w.awaitDecided("web", "out_of_sync")
	if w.fileHasE("jobs/web.hcl") {
		t.Error("-E is back")
	}
}

// A healthy job that falls ill is noticed by its allocation's event.
func TestFallsIll(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remove("jobs/web.hcl")
	brief := strings.Replace(mock("brief"), `run_for = "1h"`, `run_for = "700ms"
        exit_code = 1`, 1)
	w.registerAs("brief", brief)
	w.start()
	w.awaitDecided("brief", "degraded")
	if o := w.agent.Overview(); len(o.Jobs) != 1 || o.Jobs[0].Reason == "" {
		t.Errorf("%+v", o)
	}
}

// What is asked for by name is looked at, and an unknown name is an error.
func TestReconcileNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(webJob)
	w.start()
	w.awaitDecided("web", "out_of_sync")
	before := w.agent.Overview().Jobs[0].Looked
	if n, err := w.agent.Reconcile("web"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if _, err := w.agent.Reconcile("other"); err == nil {
		t.Error("an unknown job is no error")
	}
	for range 1000 {
		if w.agent.Overview().Jobs[0].Looked.After(before) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("it was not looked at")
}

// What is saved together is changed in the order of the jobs, the same each time.
func TestOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Concurrency, w.setup.MaxChanges, w.setup.Settle = true, 1, 100, 50*time.Millisecond
	w.remove("jobs/web.hcl")
	var mu sync.Mutex
	var order []string
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if mu.Lock(); e.Step == "write" && e.Outcome == "" {
			order = append(order, e.Job.Name)
		}
		mu.Unlock()
	}
	w.start()
	w.await("the first pass", func(l line) bool { return l.Msg == "first pass done" })
	for _, i := range []int{7, 3, 9, 0, 5, 8, 1, 6, 2, 4} {
		w.write(fmt.Sprintf("jobs/%d/x.hcl", 9-i), another(fmt.Sprintf("job-%d", i)), 0o644)
	}
	for range 10 {
		w.await("a run", func(l line) bool { return l.Msg == "run" && l.Result == "converged" })
	}
	mu.Lock()
	defer mu.Unlock()
	if !slices.IsSorted(order) || len(order) != 10 {
		t.Errorf("%v", order)
	}
}

// A job that was stopped because its file was gone is started when the file is back.
func TestBackAfterPrune(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync = reconcile.Sync{Fix: true, Drift: reconcile.Report, Create: reconcile.Create, Prune: reconcile.StopGone}
	w.setup.Interval = 200 * time.Millisecond
	w.write("jobs/web.hcl", withoutE, 0o644)
	w.start()
	w.awaitConverged("web")
	w.remove("jobs/web.hcl")
	w.awaitConverged("web")
	if !*w.live().Stop {
		t.Fatal("it was not stopped")
	}
	w.write("jobs/web.hcl", withoutE, 0o644)
	w.awaitConverged("web")
	if *w.live().Stop {
		t.Error("it is still stopped")
	}
}

package controller_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// mend has each load from now on give another setup.
func (w *world) mend(change func(*controller.Setup)) { w.mended.Store(&change) }

// until asks again and again for what no event tells of.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.After(20 * time.Second); !is(); {
		select {
		case <-limit:
			t.Errorf("not seen: %s", what)
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func (w *world) status(name string) controller.Status {
	for _, s := range w.agent.Overview().Jobs {
		if s.ID == idOf(name) {
			return s
		}
	}
	return controller.Status{}
}

// The files that runs write are no new pass: limits.max_changes holds, however long the
// runs take.
func TestOwnEditsBeginNoPass(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Concurrency, w.setup.MaxChanges = true, 1, 2
	w.remove("jobs/web.hcl")
	for _, name := range []string{"a", "b", "c", "d"} {
		w.registerAs(name, another(name))
	}
	w.proven()
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if e.Step == "gate deployment" && e.Outcome == "" { // the edit of its file is heard of meanwhile
			until(t, "the edit of "+e.Job.Name, func() bool { return w.status(e.Job.Name).Queued })
		}
	}
	w.start()
	w.awaitConverged("a")
	w.awaitConverged("b")
	w.await("the rest waits", func(l line) bool { return strings.HasPrefix(l.Msg, "limits.max_changes") && l.Waiting == 2 })
	w.end()
	if n := w.count("run", "c") + w.count("run", "d"); n > 0 {
		t.Errorf("%d more jobs were changed in one pass than limits.max_changes allows", n)
	}
}

// A few jobs whose runs come to nothing do not use up limits.max_changes for ever.
func TestWhatFailsLetsOthersGoFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.MaxChanges, w.setup.Interval = true, 1, 20*time.Millisecond
	w.write("jobs/a.hcl", another("a"), 0o444)
	w.start()
	if l := w.awaitRun("a"); l.Result == "converged" {
		t.Fatalf("%+v", l)
	}
	w.awaitConverged("web")
}

// A first run that ends under other policies than it began with proves nothing of them.
func TestProofOfOtherPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Concurrency = true, 4
	w.register(webJob)
	for _, name := range []string{"a", "b"} {
		w.registerAs(name, another(name))
	}
	var mu sync.Mutex
	var order []string
	first, goOn := make(chan struct{}), make(chan struct{})
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if e.Job.Name == "a" {
			if e.Step == "gate deployment" && e.Outcome == "" {
				close(first)
				<-goOn
			}
			return
		}
		if e.Step == "register" && e.Outcome == "" || e.Step == "gate deployment" && e.Outcome != "" {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, e.Job.Name+" "+e.Step)
		}
	}
	letGo := sync.OnceFunc(func() { close(goOn) })
	w.start()
	t.Cleanup(letGo)
	<-first
	w.write("policies/test.policy.hcl", sudoPolicy+"# others\n", 0o644)
	w.await("the others", func(l line) bool { return l.Msg == "loaded" })
	seen := map[string]bool{}
	w.await("both are planned anew", func(l line) bool {
		seen[l.Job] = seen[l.Job] || l.Msg == "decided"
		return seen["b"] && seen["web"]
	})
	letGo()
	w.awaitConverged("a")
	for range 2 {
		w.await("a run", func(l line) bool { return l.Msg == "run" && l.Result == "converged" })
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(order[:2], ", "); got != "b register, b gate deployment" {
		t.Errorf("%v", order)
	}
}

// A person's run that converges ends the pause of the policies.
func TestPersonProvesThePolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix = true
	w.registerAs("a", crashes("a"))
	w.registerAs("b", another("b"))
	w.register(webJob)
	w.start()
	held := map[string]bool{}
	w.await("both are held", func(l line) bool {
		held[l.Job] = held[l.Job] || l.Condition == "held" && strings.Contains(l.Reason, "failed its first run")
		return held["b"] && held["web"]
	})
	if out, err := w.carry(t.Context(), "web", func(reconcile.Event) {}); err != nil || len(out.Runs) != 1 || out.Runs[0].Result != history.Converged {
		t.Fatalf("%+v, %v", out, err)
	}
	w.awaitConverged("b")
}

// carry has the agent do what a person asks for.
func (w *world) carry(ctx context.Context, name string, progress func(reconcile.Event)) (controller.Outcome, error) {
	w.t.Helper()
	setup, err := w.load()
	if err != nil {
		w.t.Fatal(err)
	}
	order := controller.Order{By: "somebody", Selection: reconcile.Selection{Jobs: []string{name}}, Sync: reconcile.Sync{Fix: true, Person: true}}
	setup.Planner.Whole = true
	result, err := setup.Planner.Plan(ctx, order.Selection, order.Sync)
	if err != nil {
		w.t.Fatal(err)
	}
	data, err := reconcile.Save(reconcile.Asked{}, nil, result.Plans)
	if err != nil {
		w.t.Fatal(err)
	}
	if order.Saved, err = reconcile.LoadSaved(data); err != nil {
		w.t.Fatal(err)
	}
	return w.agent.Carry(ctx, order, progress)
}

// SIGTERM waits for a person's run no longer than for the agent's own.
func TestPersonsRunIsParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Shutdown = 50 * time.Millisecond
	slow := strings.NewReplacer(`"10ms"`, `"10m"`, `"5s"`, `"11m"`, `"6s"`, `"12m"`).Replace(webJob)
	w.replace("jobs/web.hcl", slow)
	w.register(slow)
	w.start()
	w.awaitDecided("web", "out_of_sync")
	var out controller.Outcome
	var err error
	ended, waits := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		out, err = w.carry(context.Background(), "web", func(e reconcile.Event) {
			if e.Step == "gate deployment" && e.Outcome == "" {
				close(waits)
			}
		})
	}()
	<-waits
	w.end()
	<-ended
	if err != nil || len(out.Runs) != 1 || !out.Runs[0].Open {
		t.Errorf("%+v, %v", out, err)
	}
}

// What was read in the last moment is not taken for in sync after the restart.
func TestLookAtTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Settle = 100 * time.Millisecond // so that the file is not too young to be believed
	w.replace("jobs/web.hcl", withoutE)
	w.register(withoutE)
	late := &lateNomad{Client: w.client, come: make(chan struct{})}
	w.mend(func(s *controller.Setup) { s.Planner.Nomad = late })
	w.start()
	w.awaitDecided("web", "in_sync")
	w.await("the first pass", func(l line) bool { return l.Msg == "first pass done" })
	until(t, "quiet", func() bool { return !w.status("web").Queued })
	late.arm()
	w.replace("jobs/web.hcl", strings.Replace(withoutE, `"sleep"`, `"-E", "sleep"`, 1))
	<-late.come
	w.end()
	w.mended.Store(nil)
	w.start()
	w.awaitDecided("web", "out_of_sync")
}

// lateNomad answers, once it is armed, only when nobody waits for the answer any more.
type lateNomad struct {
	*nomad.Client
	mu    sync.Mutex
	armed bool
	come  chan struct{}
}

func (n *lateNomad) arm() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.armed = true
}

func (n *lateNomad) Job(ctx context.Context, id job.ID) (*api.Job, error) {
	n.mu.Lock()
	armed := n.armed
	n.armed = false
	n.mu.Unlock()
	if armed {
		close(n.come)
		<-ctx.Done()
	}
	return n.Client.Job(context.WithoutCancel(ctx), id)
}

func (n *lateNomad) Allocations(ctx context.Context, id job.ID, index uint64) ([]*api.AllocationListStub, uint64, error) {
	return n.Client.Allocations(context.WithoutCancel(ctx), id, index)
}

func (n *lateNomad) Plan(ctx context.Context, j *api.Job) (*api.JobPlanResponse, error) {
	return n.Client.Plan(context.WithoutCancel(ctx), j)
}

func (n *lateNomad) Submission(ctx context.Context, id job.ID, version uint64) (*api.JobSubmission, error) {
	return n.Client.Submission(context.WithoutCancel(ctx), id, version)
}

// Findings of jobs in sync are not forgotten over a restart.
func TestFindingsAfterRestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.write("policies/test.policy.hcl", `policy "low" {
  rule "priority" {
    scope   = "job"
    enforce = "warn"
    assert  = job.priority > 50
    message = "low"
  }
}
`, 0o644)
	w.register(webJob)
	for range 2 {
		w.start()
		w.awaitDecided("web", "in_sync")
		if s := w.status("web"); s.Condition != reconcile.InSync || s.Findings != 2 || len(w.agent.Plans(webID)) != 1 {
			t.Errorf("%+v", s)
		}
		w.end()
	}
}

// Another interval counts from when it is loaded.
func TestAnotherInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.await("the first pass", func(l line) bool { return l.Msg == "first pass done" })
	w.mend(func(s *controller.Setup) { s.Interval = 20 * time.Millisecond })
	w.write("policies/test.policy.hcl", sudoPolicy+"# others\n", 0o644)
	w.await("a full pass", func(l line) bool { return l.Msg == "pass" && l.Because == "interval" })
}

// What we have registered in a namespace that is not ours any more is left alone.
func TestGoneInAnotherNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Prune, w.setup.Interval = reconcile.StopGone, 20*time.Millisecond
	there := job.ID{Namespace: "prod", Name: "there"}
	if _, err := w.client.Register(t.Context(), &api.Job{
		ID: &there.Name, Name: &there.Name, Namespace: &there.Namespace, Type: new("service"), Datacenters: []string{"*"},
	}, nil, 0); err != nil {
		t.Skip(err)
	}
	j, err := w.store().Begin(history.Run{Job: there, Kind: "agent", Actions: []string{string(reconcile.Register)}}, history.Prior{}, history.Next{})
	if err = errors.Join(err, j.Close(history.Converged, "", 1)); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.awaitPasses(6)
	w.end()
	if live, err := w.client.Job(t.Context(), there); err != nil || *live.Stop {
		t.Errorf("%+v, %v", live, err)
	}
}

// A stop that waited for its turn is not carried out when by then a file cannot be read.
func TestStopThatWaited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Fix, w.setup.Sync.Create, w.setup.Concurrency, w.setup.Interval = true, reconcile.Create, 1, 20*time.Millisecond
	w.remove("jobs/web.hcl")
	w.write("jobs/zz.hcl", strings.Replace(withoutE, `"web"`, `"zz"`, 1), 0o644)
	busy, goOn := make(chan struct{}), make(chan struct{})
	w.setup.Applier.Progress = func(e reconcile.Event) {
		if e.Job.Name == "web" && e.Step == "register" && e.Outcome == "" {
			close(busy)
			<-goOn
		}
	}
	letGo := sync.OnceFunc(func() { close(goOn) })
	w.start()
	t.Cleanup(letGo)
	w.awaitConverged("zz")
	w.replace("jobs/web.hcl", webJob)
	<-busy
	w.mend(func(s *controller.Setup) { s.Sync.Prune = reconcile.StopGone; s.Revision += "prune" })
	w.write("policies/test.policy.hcl", sudoPolicy+"# prune\n", 0o644)
	w.remove("jobs/zz.hcl")
	w.await("zz is to be stopped", func(l line) bool { return l.Msg == "decided" && l.Job == "zz" && len(l.Actions) == 1 })
	w.write("jobs/broken.hcl", `job "other" {`, 0o644)
	w.await("what is broken", func(l line) bool { return l.Msg == "decided" && l.Job == "other" && l.Condition == "held" })
	letGo()
	w.awaitConverged("web")
	w.awaitDecided("zz", "held")
	w.end()
	if live, err := w.client.Job(t.Context(), idOf("zz")); err != nil || *live.Stop {
		t.Errorf("it was stopped: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "jobs/broken.hcl")); err != nil {
		t.Fatal(err)
	}
}

// A job that was ours and that neither a file nor Nomad has any more is told of once,
// and costs nothing from then on; who registers it again makes an orphan of it.
func TestNobodys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup.Sync.Create, w.setup.Interval = reconcile.Create, 20*time.Millisecond
	w.replace("jobs/web.hcl", withoutE)
	c := w.counted()
	w.start()
	w.awaitConverged("web")
	w.awaitDecided("web", "in_sync")
	w.remove("jobs/web.hcl")
	w.awaitDecided("web", "orphan")
	purge, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, w.server.URL()+"/v1/job/web?purge=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(purge)
	if err != nil || got.Body.Close() != nil || got.StatusCode != http.StatusOK {
		t.Fatal(got, err)
	}
	w.await("it is forgotten", func(l line) bool { return strings.HasPrefix(l.Msg, "forgotten") && l.Job == "web" })
	w.awaitPasses(2)
	c.since()
	w.awaitPasses(3)
	if got := c.since(); strings.Contains(got, "job_read") {
		t.Errorf("at rest: %s", got)
	}
	if s := w.status("web"); s.Condition != "" {
		t.Errorf("%+v", s)
	}
	w.register(withoutE)
	w.awaitDecided("web", "orphan")
}

// A Nomad that goes away is told of at once, not when the next list is due.
func TestAwayBetweenLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start()
	w.await("the first pass", func(l line) bool { return l.Msg == "first pass done" })
	w.server.Close()
	w.await("Nomad is away", func(l line) bool { return strings.HasPrefix(l.Msg, "Nomad cannot be asked") })
}

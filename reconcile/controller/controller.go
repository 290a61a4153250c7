// Package controller holds jobs continuously. It waits for something to move (a file,
// a job in Nomad, the clock), looks afresh at the jobs concerned, and carries out what
// it may. It decides nothing itself: a look is the same observe .. decide that the
// verbs call, a run the same Apply.
//
//	setup.go       what it works with, loaded whole or not at all
//	watch/         which folders may have moved
//	files.go       which jobs may have moved with them; the full pass
//	nomad.go       which jobs may have moved in Nomad: its event stream and its list
//	queue.go       what waits to be looked at, each job once
//	look.go        one job from what there is of it to its status
//	admit.go       which changes are made now: limits, calm, one job first
//	run.go         a change, carried out
//	memory.go      what was in sync, across restarts
//	status.go      what it knows, for people and programs
package controller

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller/watch"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// Agent is the controller.
type Agent struct {
	Load    func() (Setup, error)
	Log     logr.Logger
	Metrics *Metrics     // nil: nobody asks for them
	Tell    func(string) // is told in a few words what the agent does; may be nil
	Ready   func()       // called once when all is loaded and the loop begins; may be nil

	loadAgain atomic.Bool
	serial    atomic.Uint64
	stepped   atomic.Int64 // when the loop last moved, in Unix nanoseconds
	woken     chan struct{}
	once      sync.Once
	started   chan struct{} // closed when there is a list of Nomad's that events follow
	hasList   sync.Once
	parking   chan struct{} // closed when runs under way are not waited for any more

	mu       sync.Mutex // guards all below; nothing that waits is done under it
	setup    Setup
	epoch    int // counts setups: what was begun under an older one is begun again
	catalog  *reconcile.Catalog
	queue    *queue
	jobs     map[job.ID]*known
	nobodys  map[job.ID]bool             // of which the history knows, and nobody else; a list may name them again
	stubs    map[job.ID]*api.JobListStub // of the last list, while what it set off is worked through
	pass     pass
	batch    int // of what is pushed now: what came together
	todo     todo
	open     []history.Run // left open by a crash, to be settled
	looking  int
	running  int
	ending   bool             // no more runs are begun
	trial    *reconcile.Trial // nil: to be read from the history
	trying   bool             // the one run that proves the policies is under way
	held     []history.Suspension
	nomad    following
	memory   memory
	facts    Overview  // but for its jobs and counts
	progress time.Time // when the log last said how far a long pass has come
	shown    time.Time // when the metrics were last brought up to date
	news     bool      // ... since when something changed
	told     told
	pruned   time.Time
	nextTry  time.Time // when the first of the changes may be tried that are put off; zero: none was met
	expired  time.Time // the Expires that was answered with a load
}

// Run loops until ctx ends, and then until the runs under way have ended or are
// parked. The first load must succeed; later ones may fail and are logged. The caller
// holds the state folder: see history.Store.Hold.
func (a *Agent) Run(ctx context.Context) error {
	setup, err := a.Load()
	if err != nil {
		return err
	}
	a.begin(setup)
	w := watch.New(watch.Options{Settle: setup.Settle, Poll: pollEvery, Log: a.Log, OnError: func(error) { a.Metrics.WatchError() }, OnPoll: a.polls})
	defer w.Close()
	w.Set(setup.watched())
	select { // it names what it has begun to watch, which the first pass looks at
	case <-w.Changes():
	case <-time.After(longestStart):
	case <-ctx.Done():
		return nil
	}
	runs, park := context.WithCancel(context.WithoutCancel(ctx))
	defer park()
	defer context.AfterFunc(runs, func() { close(a.parking) })()
	a.Log.Info("started", "interval", setup.Interval.String(), "watching", slices.Concat(setup.Trees, setup.Policies, setup.Files))
	if a.Ready != nil {
		a.Ready()
	}
	a.fullPass()
	a.loop(ctx, runs, w)
	a.end(park)
	return nil
}

const (
	pollEvery    = 10 * time.Second // how often folders are looked at that cannot be watched
	longestStart = time.Second      // how long the first pass waits for the watches
)

func (a *Agent) init() {
	a.once.Do(func() {
		a.woken, a.started, a.parking = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	})
}

// begin takes the first setup.
func (a *Agent) begin(setup Setup) {
	a.init()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Metrics == nil {
		a.Metrics = NewMetrics("", nil, nil)
	}
	a.setup, a.queue, a.jobs, a.nobodys = setup, newQueue(), map[job.ID]*known{}, map[job.ID]bool{}
	a.catalog = reconcile.NewCatalog(setup.Planner.Sources, setup.Applier.Clock)
	a.facts.Started, a.facts.Loaded, a.facts.Config = a.now(), a.now(), setup.Revision
	a.memory = loadMemory(setup.Applier.History, setup.Revision, a.Log)
	open, err := setup.Applier.History.Interrupted()
	if err != nil {
		a.Log.Error(err, "the history cannot be read")
	}
	a.open, a.nomad.needed = open, true
	a.Metrics.Loaded(setup.Revision, a.now(), nil)
}

func (a *Agent) now() time.Time { return a.setup.Applier.Clock() }

// wake makes the loop go round once more.
func (a *Agent) wake() {
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

// Reload loads configuration and policies anew, as a change of their files does.
func (a *Agent) Reload() {
	a.init()
	a.loadAgain.Store(true)
	a.wake()
}

// loop waits for whatever comes next, and lets step do what it has made possible.
func (a *Agent) loop(ctx, runs context.Context, w *watch.Watcher) {
	unfollow := a.follow(ctx)
	defer func() { unfollow() }()
	full := time.NewTimer(a.jittered())
	defer full.Stop()
	for {
		a.stepped.Store(time.Now().UnixNano())
		next := a.step(ctx, runs)
		select {
		case <-ctx.Done():
			return
		case <-a.woken:
		case <-next:
		case <-full.C:
			a.fullPass()
			full.Reset(a.jittered())
		case change := <-w.Changes():
			a.filesMoved(change)
		}
		if a.loadAgain.Swap(false) && a.reload() {
			unfollow()
			unfollow = a.follow(ctx)
			w.Set(a.setup.watched())
			full.Reset(a.jittered()) // all is looked at now, and interval may be another
		}
	}
}

// jittered keeps many agents from asking one Nomad at the same moment.
func (a *Agent) jittered() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Duration(float64(a.setup.Interval) * (0.95 + 0.1*rand.Float64()))
}

// step starts what can be started now, and gives a channel that says when there may be
// more to start.
func (a *Agent) step(ctx, runs context.Context) <-chan time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	began := a.now()
	if slices.ContainsFunc(a.held, func(s history.Suspension) bool { return !s.Until.IsZero() && !began.Before(s.Until) }) {
		a.heardSuspensions()
	}
	a.expire()
	a.calmEnded()
	a.startList(ctx)
	a.startLooks(ctx)
	if ctx.Err() == nil {
		a.startRuns(runs)
	}
	a.settled()
	a.measure()
	next := a.wakeAt(began)
	if next.IsZero() {
		return nil
	}
	return time.After(max(next.Sub(a.now()), 0))
}

// wakeAt is the next moment after a step began that something waits for; zero: none.
// What was due by then and did not happen waits for something else as well, whose end
// wakes the loop; to go round for it again at once would be to go round for ever.
func (a *Agent) wakeAt(began time.Time) time.Time {
	var next time.Time
	soonest := func(t time.Time) {
		if t.After(began) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	soonest(a.queue.next())
	soonest(a.nomad.retryAt)
	soonest(a.facts.Calm)
	if a.memory.dirty {
		soonest(a.memory.saved.Add(saveEvery))
	}
	soonest(a.setup.Expires)
	for _, s := range a.held {
		soonest(s.Until)
	}
	soonest(a.nextTry)
	return next
}

// end waits for the runs under way as long as Shutdown allows, then parks them: what
// has registered stays open for the next start, what has not is put back.
func (a *Agent) end(park context.CancelFunc) {
	a.mu.Lock()
	shutdown, n := a.setup.Shutdown, a.running
	a.ending = true
	a.mu.Unlock()
	if n > 0 {
		a.Log.Info("stopping: waiting for runs under way", "runs", n, "at most", shutdown.String())
		a.tell(fmt.Sprintf("stopping: %d runs under way", n))
	}
	limit := time.NewTimer(shutdown)
	defer limit.Stop()
	for a.busy() {
		select {
		case <-a.woken:
		case <-limit.C:
			a.Log.Info("parking the runs under way: the next start goes on with them")
			park()
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.memory.saved = time.Time{}
	a.save()
	a.Log.Info("stopped")
}

func (a *Agent) busy() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.running+a.looking > 0
}

func (a *Agent) tell(text string) {
	if a.Tell != nil {
		a.Tell(text)
	}
}

func short(hash string) string { return hash[:min(8, len(hash))] }

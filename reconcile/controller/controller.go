// Package controller holds jobs continuously. It waits for something to move (a file,
// a job in Nomad, the clock), looks afresh at the jobs concerned, and carries out what
// it may. It decides nothing itself: a look is the same observe .. decide that the
// verbs call, a run the same Apply.
//
//	watch/         which folders may have moved
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
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller/watch"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// Nomad is what the agent needs of the live side beside what a look and a run need.
type Nomad interface {
	List(ctx context.Context, namespaces []string) ([]*api.JobListStub, uint64, error)
	Follow(ctx context.Context, namespaces []string, index uint64, each func(nomad.Batch)) error
}

// Setup is all that the agent works with. It is loaded whole, or the last good one
// stays in force.
type Setup struct {
	Planner     *reconcile.Planner
	Applier     *reconcile.Applier
	Nomad       Nomad
	PolicyFiles []policies.Source
	Sync        reconcile.Sync
	Concurrency int           // jobs looked at, and jobs changed, at once
	MaxChanges  int           // jobs changed in one pass
	Interval    time.Duration // between full passes
	Settle      time.Duration // quiet time after a file event
	Shutdown    time.Duration // how long the end waits for runs under way
	Trees       []string      // folders of job files, absolute
	Policies    []string      // files and folders of policies, absolute
	Files       []string      // all else that is loaded, absolute
	Revision    string        // hash of all that a verdict rests on beside job files and Nomad
	Expires     time.Time     // when Revision becomes another by itself; zero: never

	// Calm is whether the agent changes nothing at that time, and until when. It may be nil.
	Calm func(time.Time) (until time.Time, calm bool)
}

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

// expire loads anew when what was loaded has become another by itself, once; what does
// not load then is tried again in each full pass.
func (a *Agent) expire() {
	at := a.setup.Expires
	if at.IsZero() || a.now().Before(at) || a.expired.Equal(at) {
		return
	}
	a.expired = at
	a.loadAgain.Store(true)
	a.wake()
}

// fullPass looks at the stat of every file and at Nomad's list of jobs, for what no
// event has told of. Changes that limits.max_changes has kept back get their turn.
func (a *Agent) fullPass() {
	a.Log.V(1).Info("pass", "because", "interval")
	a.mu.Lock()
	a.newPass(true)
	catalog := a.catalog
	a.nomad.wanted = true
	if expires := a.setup.Expires; a.facts.LoadErr != "" || !expires.IsZero() && !a.now().Before(expires) {
		a.loadAgain.Store(true)
	}
	a.mu.Unlock()
	moved := catalog.Refresh()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filesRead(catalog.Failed())
	a.recall(&moved)
	a.pushMoved(moved)
	a.heardSuspensions()
	for id, k := range a.jobs {
		if k.again && k.passed == 0 {
			a.push(id)
		}
	}
	a.findOrphans()
	a.prune()
}

// filesMoved looks at the folders that a watcher names.
func (a *Agent) filesMoved(change watch.Change) {
	a.mu.Lock()
	catalog, reload := a.catalog, a.concernsSetup(change)
	a.mu.Unlock()
	if reload {
		a.loadAgain.Store(true)
	}
	moved := catalog.Look(change.Dirs, change.Trees)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.filesRead(catalog.Failed())
	a.heardSuspensions()
	if len(moved.Jobs)+len(moved.Files) == 0 {
		return
	}
	if !a.madeByRuns(moved) {
		a.Log.V(1).Info("pass", "because", "files", "jobs", len(moved.Jobs), "files", len(moved.Files))
		a.newPass(false)
	}
	a.pushMoved(moved)
}

// filesRead notes which sources cannot be read: their jobs stay what they were.
func (a *Agent) filesRead(failed []error) {
	a.facts.FilesErr = nil
	for _, err := range failed {
		a.facts.FilesErr = append(a.facts.FilesErr, err.Error())
	}
	err := errors.Join(failed...)
	switch {
	case err == nil:
		a.told.forget("sources")
	case a.told.anew("sources", err.Error()):
		a.Log.Error(err, "a source cannot be read; its jobs stay what they were")
	}
	a.changed()
}

func (a *Agent) pushMoved(moved reconcile.Moved) {
	for _, id := range moved.Jobs {
		a.pushMovedJob(id)
	}
	for _, file := range moved.Files {
		a.queue.push(key{file: file}, a.batch, a.now())
	}
	a.wake()
}

// polls notes what cannot be watched.
func (a *Agent) polls(paths []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.facts.Polling = paths
	a.changed()
}

// pushMovedJob is push for a job that somebody may have changed just now.
func (a *Agent) pushMovedJob(id job.ID) {
	if k := a.jobs[id]; k != nil && k.moved.IsZero() && !k.status.Running {
		k.moved = a.now()
	}
	a.push(id)
}

// push asks for a look at a job.
func (a *Agent) push(id job.ID) {
	a.queue.push(key{id: id}, a.batch, a.now())
	a.wake()
}

// heardSuspensions looks at the jobs that were suspended or resumed.
func (a *Agent) heardSuspensions() {
	now, err := a.setup.Applier.History.Suspensions()
	if err != nil {
		if a.told.anew("suspensions", err.Error()) {
			a.Log.Error(err, "not known which jobs are suspended")
		}
		return
	}
	before := a.held
	a.held = now
	for id := range a.jobs {
		if holds(before, id) != holds(now, id) {
			a.push(id)
		}
	}
}

func holds(list []history.Suspension, id job.ID) bool {
	return slices.ContainsFunc(list, func(s history.Suspension) bool { return s.Holds(id) })
}

// concernsSetup reports whether what was loaded may be another now.
func (a *Agent) concernsSetup(change watch.Change) bool {
	if len(change.Files) > 0 {
		return true
	}
	return slices.ContainsFunc(slices.Concat(change.Dirs, change.Trees), func(dir string) bool {
		return slices.ContainsFunc(a.setup.Policies, func(p string) bool { return within(dir, p) || within(p, dir) })
	})
}

// within reports whether path is root or below it.
func within(path, root string) bool { return path == root || strings.HasPrefix(path, root+"/") }

// watched are the folders and the files to watch. What is not there yet is taken for a
// file.
func (s Setup) watched() (trees, files []string) {
	trees, files = slices.Clone(s.Trees), slices.Clone(s.Files)
	for _, p := range s.Policies {
		if info, err := os.Stat(p); err == nil && info.IsDir() {
			trees = append(trees, p)
		} else {
			files = append(files, p)
		}
	}
	return trees, files
}

// reload loads everything anew. It reports whether something else is in force now.
func (a *Agent) reload() bool {
	setup, err := a.Load()
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.changed()
	a.Metrics.Loaded(setup.Revision, a.now(), err)
	if err != nil {
		if a.facts.LoadErr = err.Error(); a.told.anew("load", a.facts.LoadErr) {
			a.Log.Error(err, "the configuration or a policy does not load; what was loaded before stays in force")
		}
		return false
	}
	a.told.forget("load")
	a.facts.LoadErr, a.facts.Loaded = "", a.now()
	same := setup.Revision == a.setup.Revision && setup.Revision != ""
	if a.setup = setup; same {
		return false
	}
	a.Log.Info("loaded", "revision", short(setup.Revision))
	a.renew()
	return true
}

// renew looks at everything again, under a setup that is another one.
func (a *Agent) renew() {
	a.epoch++
	a.facts.Config = a.setup.Revision
	a.catalog = reconcile.NewCatalog(a.setup.Planner.Sources, a.setup.Applier.Clock)
	a.trial, a.todo, a.nobodys = nil, todo{}, map[job.ID]bool{}
	a.facts.Calm = time.Time{} // the windows may be others
	a.memory.dirty = true
	a.newPass(true)
	moved := a.catalog.Refresh()
	a.filesRead(a.catalog.Failed())
	a.pushMoved(moved) // jobs without a file follow when all of these are read
	a.nomad.wanted, a.nomad.needed = true, true
}

// prune removes old runs also of jobs that are not run any more.
func (a *Agent) prune() {
	if a.now().Sub(a.pruned) < time.Hour {
		return
	}
	a.pruned = a.now()
	history := a.setup.Applier.History
	go func() {
		if err := history.Prune(context.Background()); err != nil {
			a.Log.Error(err, "old runs cannot be removed")
		}
	}()
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

package controller

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// Status is what the agent knows of one job.
type Status struct {
	ID        job.ID
	File      string // as users see it; empty where no file declares the job
	Source    string // in its place, of a job that a source "nomad" names
	Condition reconcile.Condition
	Reason    string    // one line; empty where Condition says it all
	Next      []string  // what to do or to type; none where there is nothing to do
	Since     time.Time // when Condition became what it is
	Looked    time.Time // when the agent last worked it out
	Revision  history.Basis
	Version   *uint64      // of the live job; nil where Nomad does not know it
	Findings  int          // that no exception waives, of both sides
	LastRun   *history.Run // the newest; nil without one
	Running   bool         // a run of it is under way
	Queued    bool         // something moved, and it will be looked at again
}

// Overview is the agent as a whole.
type Overview struct {
	Serial   uint64 // another one whenever anything below is another
	Started  time.Time
	Ready    bool      // the first pass is done
	Passed   time.Time // when all that had moved was last worked through; zero before Ready
	Config   string    // hash of configuration, policies and variable files in force
	Loaded   time.Time // when these were loaded
	LoadErr  string    // why a newer one is not in force; empty if there is none
	NomadErr string    // why Nomad cannot be asked; empty while it answers
	FilesErr []string  // sources that cannot be read
	Polling  []string  // folders that cannot be watched and are polled
	Calm     time.Time // when the window of calm ends; zero outside of one
	Waiting  int       // jobs with changes that limits.max_changes keeps back until the next full pass
	Known    int       // jobs and files in all
	Left     int       // ... that have not been looked at since the start
	Jobs     []Status  // in the order of their IDs
}

// changed makes the next Overview another one.
func (a *Agent) changed() {
	a.serial.Add(1)
	a.news = true
}

// Serial is that of the Overview.
func (a *Agent) Serial() uint64 { return a.serial.Load() }

// Overview is a snapshot.
func (a *Agent) Overview() Overview {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.facts
	o.Serial = a.serial.Load()
	if a.catalog != nil {
		_, o.Left = a.catalog.Len()
	}
	o.Jobs = make([]Status, 0, len(a.jobs))
	for id, k := range a.jobs {
		s := k.status
		s.Queued = a.queue.has(key{id: id})
		o.Jobs = append(o.Jobs, s)
	}
	slices.SortFunc(o.Jobs, func(x, y Status) int { return x.ID.Compare(y.ID) })
	o.Known = len(o.Jobs) + o.Left
	return o
}

// Plans are those of the jobs that are not in sync or have findings, as they were last made; of all
// such jobs without IDs.
func (a *Agent) Plans(ids ...job.ID) []reconcile.Plan {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(ids) == 0 {
		ids = slices.SortedFunc(maps.Keys(a.jobs), job.ID.Compare)
	}
	var out []reconcile.Plan
	for _, id := range ids {
		if k := a.jobs[id]; k != nil && k.plan != nil {
			out = append(out, *k.plan)
		}
	}
	return out
}

// Runs are those of one job, or of all with nil, the newest first.
func (a *Agent) Runs(_ context.Context, id *job.ID) ([]history.Run, error) {
	a.mu.Lock()
	store := a.setup.Applier.History
	a.mu.Unlock()
	return store.Runs(id)
}

// Reconcile has these jobs (NAME or NAME@NAMESPACE) looked at now, all without names,
// and says how many these are.
func (a *Agent) Reconcile(names ...string) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	wanted := map[job.ID]bool{}
	for _, name := range names {
		known := false
		for id := range a.jobs {
			if id.Called(name) {
				wanted[id], known = true, true
			}
		}
		if !known {
			return 0, fmt.Errorf("no job file declares a job %q, and no source names it", name)
		}
	}
	a.newPass(false)
	for id := range a.jobs {
		if len(names) == 0 || wanted[id] {
			wanted[id] = true
			a.push(id)
		}
	}
	a.wake()
	return len(wanted), nil
}

// Alive reports whether the loop moves: if it has not lately, it is asked to.
func (a *Agent) Alive() bool {
	a.init()
	for deadline := time.Now().Add(longestStep); ; {
		if time.Since(time.Unix(0, a.stepped.Load())) < longestStep {
			return true
		}
		a.wake()
		if !time.Now().Before(deadline) {
			return false
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// longestStep is how long the loop may take for one turn.
const longestStep = 10 * time.Second

// measureEvery keeps a busy agent from counting all jobs at each of its steps.
const measureEvery = time.Second

// measure brings the metrics up to date.
func (a *Agent) measure() {
	a.Metrics.Queue(a.queue.len())
	a.tellProgress()
	idle := a.looking == 0 && a.queue.ready.Len() == 0
	if !a.news || !idle && a.now().Sub(a.shown) < measureEvery {
		return
	}
	a.news, a.shown = false, a.now()
	conditions, found := map[reconcile.Condition]int{}, map[Finding]int{}
	for _, k := range a.jobs {
		conditions[k.status.Condition]++
		for f, n := range k.found {
			found[f] += n
		}
	}
	a.Metrics.Conditions(conditions)
	a.Metrics.Findings(a.setup.Planner.Policies, found)
	a.Metrics.Passed(a.facts.Passed)
}

// progressEvery is how often the log says how far a long pass has come.
const progressEvery = 10 * time.Second

func (a *Agent) tellProgress() {
	left := a.looking + a.queue.ready.Len()
	switch {
	case left == 0:
		a.progress = time.Time{}
	case a.progress.IsZero():
		a.progress = a.now()
	case a.now().Sub(a.progress) >= progressEvery:
		a.progress = a.now()
		a.Log.Info("working through what has moved", "left", left, "jobs", len(a.jobs))
		a.tell(fmt.Sprintf("working through what has moved: %d left, %d jobs known", left, len(a.jobs)))
	}
}

// tellState says in a few words how things are.
func (a *Agent) tellState() {
	off := 0
	for _, k := range a.jobs {
		if k.status.Condition != reconcile.InSync {
			off++
		}
	}
	a.tell(fmt.Sprintf("%d jobs, %d not in sync, %d runs under way", len(a.jobs), off, a.running))
}

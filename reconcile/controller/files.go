package controller

import (
	"context"
	"errors"
	"slices"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller/watch"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// fullPass looks at the stat of every file and at Nomad's list of jobs, for what no
// event has told of. Changes that limits.max_changes has kept back get their turn.
func (a *Agent) fullPass() {
	a.Log.V(1).Info("pass", "because", "interval")
	a.mu.Lock()
	a.newPass(true)
	catalog := a.catalog
	a.nomad.wanted = true
	if a.facts.LoadErr != "" { // also of what has expired: see expire
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

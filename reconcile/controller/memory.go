package controller

import (
	"encoding/json"
	"time"

	"github.com/go-logr/logr"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// memory is what was in sync when the agent last had nothing to do, so that after a
// restart only what has moved is looked at.
type memory struct {
	dirty bool
	saved time.Time
	old   map[string]remembered // by file: from before the start, until the first pass has used it
}

// remembered is one job that was in sync.
type remembered struct {
	Job     job.ID            `json:"job"`
	File    string            `json:"file"`  // absolute
	Shown   string            `json:"shown"` // as users see it
	Reading reconcile.Reading `json:"reading"`
	Basis   history.Basis     `json:"basis"`
	Index   uint64            `json:"index"`
	Health  string            `json:"health"`
	Reason  string            `json:"reason,omitempty"`
	Version *uint64           `json:"version,omitempty"`
	Since   time.Time         `json:"since"`
	LastRun *history.Run      `json:"last_run,omitempty"` // what a status shows of it
}

type memoryFile struct {
	Format   int          `json:"format"`
	Revision string       `json:"revision"` // of the setup: another one forgets all
	Jobs     []remembered `json:"jobs"`
}

const (
	memoryName   = "agent.json"
	memoryFormat = 2
)

// loadMemory: what cannot be read or was made under another setup is forgotten; it only
// saves work.
func loadMemory(store *history.Store, revision string, log logr.Logger) memory {
	m := memory{old: map[string]remembered{}}
	data, err := store.Recall(memoryName)
	var f memoryFile
	if err == nil && data != nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil {
		log.Error(err, "what was in sync before is not known; all jobs are looked at")
		return m
	}
	if f.Format != memoryFormat || f.Revision != revision || revision == "" {
		return m
	}
	for _, r := range f.Jobs {
		m.old[r.File] = r
	}
	return m
}

// recall takes what was in sync before the restart for in sync, where the file has not
// moved since and nobody has suspended the job. Whether the live job has moved is for
// the list to say, which comes next.
func (a *Agent) recall(moved *reconcile.Moved) {
	if len(a.memory.old) == 0 {
		return
	}
	suspended, err := a.setup.Applier.History.Suspensions()
	if err != nil || len(suspended) > 0 && suspended[len(suspended)-1].All() {
		a.memory.old = nil
		return
	}
	left := moved.Files[:0]
	for _, file := range moved.Files {
		r, ok := a.memory.old[file]
		if !ok || holds(suspended, r.Job) || !a.catalog.Recall(file, r.Reading) {
			left = append(left, file)
			continue
		}
		a.jobs[r.Job] = &known{index: r.Index, health: r.Health, told: "remembered", status: Status{
			ID: r.Job, File: r.Shown, Condition: reconcile.InSync, Reason: r.Reason, Since: r.Since,
			Looked: a.facts.Started, Revision: r.Basis, Version: r.Version, LastRun: r.LastRun,
		}}
	}
	moved.Files = left
	for id := range a.jobs { // two files that mean one job now
		if len(a.catalog.Files(id)) > 1 {
			moved.Jobs = append(moved.Jobs, id)
		}
	}
	a.memory.old = nil
}

// inShort is a run without its steps and gates, which are in the history.
func inShort(r *history.Run) *history.Run {
	if r == nil {
		return nil
	}
	return &history.Run{ID: r.ID, Job: r.Job, Kind: r.Kind, Result: r.Result, Reason: r.Reason, Started: r.Started, Ended: r.Ended}
}

// saveEvery keeps a busy agent from writing its memory all the time.
const saveEvery = 10 * time.Second

// save remembers what is in sync now. What fails is told once: it costs work after a
// restart, and nothing else.
func (a *Agent) save() {
	if !a.memory.dirty || a.now().Sub(a.memory.saved) < saveEvery {
		return
	}
	a.memory.dirty, a.memory.saved = false, a.now()
	f := memoryFile{Format: memoryFormat, Revision: a.setup.Revision}
	for id, k := range a.jobs {
		path, reading, ok := a.catalog.Reading(id)
		if !ok || k.status.Condition != reconcile.InSync || k.again || k.plan != nil || a.queue.has(key{id: id}) {
			continue
		}
		f.Jobs = append(f.Jobs, remembered{
			Job: id, File: path, Shown: k.status.File, Reading: reading, Basis: k.status.Revision, Index: k.index,
			Health: k.health, Reason: k.status.Reason, Version: k.status.Version, Since: k.status.Since,
			LastRun: inShort(k.status.LastRun),
		})
	}
	data, err := json.Marshal(f)
	if err == nil {
		err = a.setup.Applier.History.Remember(memoryName, data)
	}
	if err != nil && a.told.anew("memory", err.Error()) {
		a.Log.Error(err, "what is in sync cannot be remembered across a restart")
	}
}

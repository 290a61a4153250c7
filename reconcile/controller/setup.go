package controller

import (
	"context"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller/watch"
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

package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// following is how far the agent has heard of Nomad.
type following struct {
	wanted  bool            // a list is to be read
	needed  bool            // ... before anything is looked at: it spares a request for each job
	listing bool            // one is being read
	index   uint64          // events are followed from it
	known   uint64          // what happened up to it is in the list that was read last
	heard   map[job.ID]bool // what events have named since the list was asked for: of these it may be old
	err     string          // why Nomad does not answer; empty while it does
	fails   int             // lists that failed in a row
	retryAt time.Time       // when the next one is tried; zero: at once
}

// startList reads Nomad's list, if it is wanted and it is time.
func (a *Agent) startList(ctx context.Context) {
	n := &a.nomad
	if !n.wanted || n.listing || a.now().Before(n.retryAt) || ctx.Err() != nil {
		return
	}
	n.wanted, n.listing, n.retryAt, n.heard = false, true, time.Time{}, map[job.ID]bool{}
	go a.list(ctx, a.setup, a.epoch)
}

func (a *Agent) list(ctx context.Context, setup Setup, epoch int) {
	stubs, index, err := setup.Nomad.List(ctx, setup.Planner.Namespaces)
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.wake()
	a.nomad.listing = false
	switch {
	case ctx.Err() != nil:
	case epoch != a.epoch:
		a.nomad.wanted = true
	case err != nil:
		a.lost(err)
	default:
		a.found()
		a.nomad.needed = false
		a.nomad.index, a.nomad.known = max(a.nomad.index, index), index
		a.hasList.Do(func() { close(a.started) })
		a.compare(setup, stubs)
	}
}

// lost: Nomad does not answer. Nothing else is asked of it until a list is read, which
// is tried again and again.
func (a *Agent) lost(err error) {
	n := &a.nomad
	wait := min(time.Second<<min(n.fails, 6), time.Minute)
	if n.wanted && n.err != "" { // it is waited for already
		return
	}
	n.fails++
	n.wanted, n.err = true, err.Error()
	n.retryAt = a.now().Add(time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64())))
	if a.facts.NomadErr = n.err; a.told.anew("nomad", "away") {
		a.Log.Error(err, "Nomad cannot be asked; it is tried again until it answers")
	}
	a.tell("Nomad cannot be asked: " + n.err)
	a.changed()
	a.wake()
}

func (a *Agent) found() {
	if a.nomad.err != "" {
		a.Log.Info("Nomad answers again")
	}
	a.nomad.err, a.nomad.fails, a.facts.NomadErr = "", 0, ""
	a.told.forget("nomad")
	a.changed()
}

// compare looks at the jobs of which the list says something else than when they were
// last looked at.
func (a *Agent) compare(setup Setup, stubs []*api.JobListStub) {
	a.stubs = make(map[job.ID]*api.JobListStub, len(stubs))
	for _, s := range stubs {
		if s.ParentID != "" {
			continue
		}
		id := job.ID{Namespace: cmp.Or(s.Namespace, job.DefaultNamespace), Name: s.ID}
		if a.nomad.heard[id] { // it is looked at anyway
			continue
		}
		a.stubs[id] = s
		if a.jobs[id] == nil && (setup.Planner.Names(id) || a.nobodys[id] || len(a.catalog.Files(id)) > 0) {
			a.push(id)
		}
	}
	for id, k := range a.jobs {
		switch s := a.stubs[id]; {
		case a.nomad.heard[id], s == nil && k.index == 0:
		case s == nil || s.JobModifyIndex != k.index:
			a.pushMovedJob(id)
		case k.health == "" && (wellBy(s) || k.status.Condition != reconcile.InSync):
			k.health = healthOf(s)
		case k.health != healthOf(s):
			a.pushMovedJob(id)
		}
	}
	a.pass.stirred = true
}

// healthOf is what a list says of a job's allocations, as far as it matters.
func healthOf(s *api.JobListStub) string {
	var b strings.Builder
	fmt.Fprint(&b, s.Status, " ", s.Stop)
	if s.JobSummary == nil || s.Periodic || s.ParameterizedJob {
		return b.String()
	}
	for _, name := range slices.Sorted(maps.Keys(s.JobSummary.Summary)) {
		g := s.JobSummary.Summary[name]
		fmt.Fprint(&b, " ", g.Queued, " ", g.Starting, " ", g.Running, " ", g.Failed, " ", g.Lost, " ", g.Unknown)
	}
	return b.String()
}

// wellBy: nothing in the list speaks against the job's health.
func wellBy(s *api.JobListStub) bool {
	if s.JobSummary == nil || s.Periodic || s.ParameterizedJob || s.Stop {
		return true
	}
	for _, g := range s.JobSummary.Summary {
		if g.Queued+g.Starting+g.Failed+g.Lost+g.Unknown > 0 {
			return false
		}
	}
	return s.Status != "pending"
}

// follow hears of what moves in Nomad until it is ended, from the last list or event on.
// After each break a list is read: the stream may have lost something.
func (a *Agent) follow(ctx context.Context) (end context.CancelFunc) {
	ctx, end = context.WithCancel(ctx)
	a.mu.Lock()
	setup := a.setup
	a.mu.Unlock()
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-a.started:
		}
		for fails := 0; ctx.Err() == nil; fails++ {
			a.mu.Lock()
			index := a.nomad.index
			a.mu.Unlock()
			opened, began := false, time.Now()
			err := setup.Nomad.Follow(ctx, setup.Planner.Namespaces, index, func(b nomad.Batch) {
				if b.Opened && fails > 0 {
					a.wantList()
				}
				opened = opened || b.Opened
				a.heard(b)
			})
			if ctx.Err() != nil {
				return
			}
			if opened && time.Since(began) > steadyStream {
				fails = 0
			} else if !opened && errors.Is(err, nomad.ErrUnreachable) {
				a.wantList() // which finds out whether Nomad is away, and then says so
			}
			a.mu.Lock()
			if a.told.anew("events", err.Error()) {
				a.Log.Info("the event stream has ended; it is opened again", "reason", err.Error())
			}
			a.mu.Unlock()
			wait := min(100*time.Millisecond<<min(fails, 10), time.Minute)
			if !sleep(ctx, time.Duration(float64(wait)*(0.8+0.4*rand.Float64()))) {
				return
			}
		}
	}()
	return end
}

// steadyStream is how long a stream has to live for its end to be no failure: each one
// that is opened costs a list.
const steadyStream = 10 * time.Second

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (a *Agent) wantList() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nomad.wanted = true
	a.wake()
}

// eventPause is how soon after a look events bring another one: what happens to a job
// comes in bursts.
const eventPause = time.Second

// heard looks at the jobs that events are about. Events only name them.
func (a *Agent) heard(b nomad.Batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.nomad.index = max(a.nomad.index, b.Index)
	if b.Opened {
		a.told.forget("events")
	}
	if b.Index <= a.nomad.known { // a stream begins with what it ended with
		return
	}
	for _, id := range b.Jobs {
		delete(a.stubs, id)
		if a.nomad.listing {
			a.nomad.heard[id] = true
		}
		if !a.ours(id) {
			continue
		}
		now := a.now()
		k := a.jobs[id]
		if k == nil {
			a.push(id)
			continue
		}
		if k.moved.IsZero() && !k.status.Running {
			k.moved = now
		}
		due := later(now, k.status.Looked.Add(eventPause))
		if a.queue.isBusy(key{id: id}) { // every write checks the index, so what is found now is good enough
			due = now.Add(eventPause)
		}
		a.queue.pushAt(key{id: id}, a.eventBatch(), now, due)
	}
	if len(b.Jobs) > 0 {
		a.wake()
	}
}

// eventBatch is one of its own: what comes later keeps no change waiting that is known.
func (a *Agent) eventBatch() int {
	a.batch++
	return a.batch
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// ours: the job has a file, a source "nomad" names it, or we have registered it.
func (a *Agent) ours(id job.ID) bool {
	return a.jobs[id] != nil || len(a.catalog.Files(id)) > 0 || a.setup.Planner.Names(id)
}

// findOrphans looks at jobs of which the history knows and no file does.
func (a *Agent) findOrphans() {
	if _, left := a.catalog.Len(); left > 0 { // which file declares what is not known yet
		return
	}
	known := map[string]bool{}
	for id := range a.catalog.Jobs() {
		known[history.FileName(id)] = true
	}
	for id := range a.jobs {
		known[history.FileName(id)] = true
	}
	for id := range a.nobodys { // each would cost a request in each pass
		known[history.FileName(id)] = true
	}
	orphans, err := a.setup.Applier.History.Jobs(func(name string) bool { return known[name] })
	if err != nil && a.told.anew("orphans", err.Error()) {
		a.Log.Error(err, "part of the history cannot be read")
	}
	for _, id := range orphans {
		a.push(id)
	}
}

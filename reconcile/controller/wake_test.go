package controller

import (
	"testing"
	"time"

	"github.com/go-logr/logr"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// What is due and cannot happen yet must not keep the loop going round: it was found
// to take a core while a run waited at its gate.
func TestNothingDueIsWaitedForInCircles(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	past, soon := now.Add(-time.Hour), now.Add(time.Minute)
	store, err := history.Open(t.TempDir(), 20, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	a := &Agent{Log: logr.Discard()}
	a.begin(Setup{
		Planner: &reconcile.Planner{}, Applier: &reconcile.Applier{History: store, Clock: func() time.Time { return now }}, Expires: past, Concurrency: 1,
	})
	a.running, a.looking = 1, 1                                         // keep others waiting
	a.memory.dirty = true                                               // is written when nothing runs
	a.queue.pushAt(key{id: job.ID{Name: "web"}}, 1, past, past)         // when a look ends
	a.nomad.retryAt, a.nomad.listing, a.nomad.wanted = past, true, true // when the list has been read
	a.held = []history.Suspension{{Job: "web", Until: past}}
	if next := a.step(t.Context(), t.Context()); next != nil {
		t.Error("the loop goes round at once for what cannot happen yet")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.queue.pushAt(key{id: job.ID{Name: "api"}}, 1, now, soon)
	if got := a.wakeAt(now); !got.Equal(soon) {
		t.Errorf("the next moment is %v, want %v", got, soon)
	}
	if !a.loadAgain.Swap(false) {
		t.Error("what was loaded has expired, and is not loaded again")
	}
	if a.expire(); a.loadAgain.Load() {
		t.Error("what did not load is loaded again and again")
	}
}

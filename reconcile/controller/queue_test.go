package controller

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"nomad-reconcile/state/job"
)

var noon = time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC)

func named(name string) key { return key{id: job.ID{Namespace: "default", Name: name}} }

// popped are the keys that can be worked at now, each done at once.
func popped(q *queue, now time.Time) []string {
	var out []string
	for {
		it, ok := q.pop(now)
		if !ok {
			return out
		}
		out = append(out, it.id.Name)
		q.done(it.key, now)
	}
}

func TestQueue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   func(q *queue)
		at   time.Duration
		want []string
	}{
		"in the order of the keys, each once": {func(q *queue) {
			for _, name := range []string{"c", "a", "b", "a", "c"} {
				q.push(named(name), 1, noon)
			}
		}, 0, []string{"a", "b", "c"}},
		"a burst of a thousand is one": {func(q *queue) {
			for range 1000 {
				q.push(named("a"), 1, noon)
			}
		}, 0, []string{"a"}},
		"not before it is due": {func(q *queue) { q.pushAt(named("a"), 1, noon, noon.Add(time.Second)) }, 999 * time.Millisecond, nil},
		"when it is due":       {func(q *queue) { q.pushAt(named("a"), 1, noon, noon.Add(time.Second)) }, time.Second, []string{"a"}},
		"fresh work before retries": {func(q *queue) {
			q.retry(named("a"), noon)
			q.push(named("z"), 1, noon)
		}, time.Minute, []string{"z", "a"}},
		"what is pushed does not wait for its retry": {func(q *queue) {
			q.retry(named("a"), noon)
			q.push(named("a"), 1, noon)
		}, 0, []string{"a"}},
		"a retry does not put off what is pushed": {func(q *queue) {
			q.push(named("a"), 1, noon)
			q.retry(named("a"), noon)
		}, 0, []string{"a"}},
		"later does not put off sooner": {func(q *queue) {
			q.pushAt(named("a"), 1, noon, noon.Add(time.Second))
			q.pushAt(named("a"), 1, noon, noon.Add(time.Hour))
		}, time.Second, []string{"a"}},
		"what is claimed waits": {func(q *queue) {
			q.claim(named("a"), noon)
			q.push(named("a"), 1, noon)
		}, 0, nil},
		"and comes when the claim ends": {func(q *queue) {
			q.push(named("a"), 1, noon)
			q.claim(named("a"), noon)
			q.done(named("a"), noon)
		}, 0, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQueue()
			c.do(q)
			if got := popped(q, noon.Add(c.at)); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// A key that keeps failing waits twice as long each time, give or take a fifth, up to a
// bound; once it has worked it begins anew.
func TestBackoff(t *testing.T) {
	t.Parallel()
	q := newQueue()
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		q.retry(named("a"), noon)
		wait, want := q.next().Sub(noon), want*time.Second
		if wait < want*8/10 || wait > want*12/10 {
			t.Errorf("retry %d waits %s, want about %s", i+1, wait, want)
		}
		if got := popped(q, noon.Add(wait)); len(got) != 1 {
			t.Fatalf("retry %d has not come", i+1)
		}
	}
	q.succeeded(named("a"))
	q.retry(named("a"), noon)
	if wait := q.next().Sub(noon); wait > 2*time.Second {
		t.Errorf("after a success it waits %s", wait)
	}
}

// Whatever is pushed in whatever order: nothing is lost, nothing is worked at twice at
// once, and a batch is open as long as something of it is.
func TestQueueLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 0))
		q, now := newQueue(), noon
		owed, busy := map[key]bool{}, map[key]bool{}
		for step := range 300 {
			k := named(fmt.Sprint(r.IntN(8)))
			switch r.IntN(6) {
			case 0, 1:
				q.push(k, 1+step/50, now)
				owed[k] = true
			case 2:
				q.retry(k, now)
				owed[k] = true
			case 3:
				if it, ok := q.pop(now); ok {
					if busy[it.key] || !owed[it.key] {
						t.Fatalf("seed %d: %v is worked at twice, or nobody asked", seed, it.key)
					}
					busy[it.key] = true
					delete(owed, it.key)
				}
			case 4:
				for b := range busy {
					q.done(b, now)
					delete(busy, b)
					break
				}
			case 5:
				now = now.Add(time.Duration(r.IntN(2000)) * time.Millisecond)
			}
		}
		for b := range busy {
			q.done(b, now)
		}
		now = now.Add(time.Hour)
		for {
			it, ok := q.pop(now)
			if !ok {
				break
			}
			if !q.isBusy(it.key) {
				t.Fatalf("seed %d: %v is not busy", seed, it.key)
			}
			delete(owed, it.key)
			q.done(it.key, now)
		}
		if len(owed) > 0 || q.len() > 0 || q.open(1000) {
			t.Fatalf("seed %d: lost %v, %d wait", seed, owed, q.len())
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	q := newQueue()
	q.push(named("a"), 1, noon)
	q.push(named("b"), 2, noon)
	q.retry(named("c"), noon)
	it, _ := q.pop(noon)
	if !q.open(1) || it.id.Name != "a" {
		t.Error("what is worked at is not done")
	}
	q.done(it.key, noon)
	if q.open(1) || !q.open(2) {
		t.Error("the first batch is done, the second is not")
	}
	if it, _ = q.pop(noon); it.id.Name != "b" {
		t.Errorf("%v", it.key)
	}
	q.done(it.key, noon)
	if q.open(9) {
		t.Error("a retry keeps no batch open")
	}
}

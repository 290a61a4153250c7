package controller

import (
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"
	"time"

	"nomad-reconcile/state/job"
)

// key is what is looked at: a job, or a file of which it is not known yet which job it
// declares.
type key struct {
	id   job.ID
	file string
}

// name is the key as the log has it.
func (k key) name() string {
	if k.file != "" {
		return k.file
	}
	return k.id.String()
}

func (k key) compare(other key) int {
	return cmp.Or(k.id.Compare(other.id), cmp.Compare(k.file, other.file))
}

// queue holds each key once, however often it is pushed. One that is being worked at
// waits until that is done. Fresh work goes before retries, each in the order of the
// keys, so that what comes together is worked through in one order every time.
//
// client-go's workqueue hands out keys in the order in which they came, knows no
// retries behind fresh work, and cannot say when all that came together is done, on
// which the order of registers and limits.max_changes rest; and it would bring four
// modules for what is one screen here.
type queue struct {
	waiting map[key]*item
	busy    map[key]*item
	fails   map[key]int
	ready   order
	later   order
}

// item is a key that waits or is worked at.
type item struct {
	key
	retry bool
	batch int       // what came together; 0 while it is not its turn
	since time.Time // when it was pushed
	due   time.Time // not before
	again *item     // pushed once more while it was worked at
	index int       // its place in a heap
	in    *order
}

func newQueue() *queue {
	q := &queue{waiting: map[key]*item{}, busy: map[key]*item{}, fails: map[key]int{}}
	q.ready.less = func(a, b *item) bool {
		if a.retry != b.retry {
			return b.retry
		}
		return a.compare(b.key) < 0
	}
	q.later.less = func(a, b *item) bool { return a.due.Before(b.due) }
	return q
}

// push asks for a key now: one that waited for its retry is fresh again.
func (q *queue) push(k key, batch int, now time.Time) {
	q.put(&item{key: k, batch: batch, since: now, due: now}, now)
}

// pushAt asks for a key not before due.
func (q *queue) pushAt(k key, batch int, now, due time.Time) {
	q.put(&item{key: k, batch: batch, since: now, due: due}, now)
}

// Retries wait twice as long each time, give or take a fifth, so that many that
// failed together do not come back together.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

// retry asks for a key that failed, later each time.
func (q *queue) retry(k key, now time.Time) {
	wait := backoff(q.fails[k])
	q.fails[k]++
	q.put(&item{key: k, retry: true, since: now, due: now.Add(wait)}, now)
}

// backoff is how long to wait after so many failures.
func backoff(fails int) time.Duration {
	wait := min(firstRetry<<min(fails, 20), lastRetry)
	return time.Duration(float64(wait) * (0.8 + 0.4*rand.Float64()))
}

// succeeded forgets the failures of a key.
func (q *queue) succeeded(k key) { delete(q.fails, k) }

func (q *queue) put(it *item, now time.Time) {
	if b := q.busy[it.key]; b != nil {
		if b.again == nil || it.due.Before(b.again.due) {
			b.again = it
		}
		return
	}
	if old := q.waiting[it.key]; old != nil {
		if !it.due.Before(old.due) && (it.retry || !old.retry) {
			return
		}
		it.since = old.since
		if !old.retry && old.batch != 0 {
			it.batch = old.batch
		}
		heap.Remove(old.in, old.index)
	}
	q.waiting[it.key] = it
	it.in = &q.later
	if !it.due.After(now) {
		it.in = &q.ready
	}
	heap.Push(it.in, it)
}

// pop takes the next key that is due and marks it busy.
func (q *queue) pop(now time.Time) (*item, bool) {
	q.ripen(now)
	if q.ready.Len() == 0 {
		return nil, false
	}
	it := heap.Pop(&q.ready).(*item)
	delete(q.waiting, it.key)
	q.busy[it.key] = it
	return it, true
}

// ripen moves what has become due to what is ready.
func (q *queue) ripen(now time.Time) {
	for q.later.Len() > 0 && !q.later.items[0].due.After(now) {
		it := heap.Pop(&q.later).(*item)
		it.in = &q.ready
		heap.Push(it.in, it)
	}
}

// claim marks a key busy that was not popped; false if somebody works at it.
func (q *queue) claim(k key, now time.Time) bool {
	if q.busy[k] != nil {
		return false
	}
	it := &item{key: k, since: now}
	if old := q.waiting[k]; old != nil { // it is answered when the claim ends
		heap.Remove(old.in, old.index)
		delete(q.waiting, k)
		it.again = &item{key: k, batch: old.batch, since: old.since, due: old.due}
	}
	q.busy[k] = it
	return true
}

// done ends the work at a key; if it was pushed meanwhile, it waits again.
func (q *queue) done(k key, now time.Time) {
	it := q.busy[k]
	delete(q.busy, k)
	if it != nil && it.again != nil {
		q.put(it.again, now)
	}
}

// next is when something that waits becomes due; zero if nothing waits.
func (q *queue) next() time.Time {
	if q.later.Len() == 0 {
		return time.Time{}
	}
	return q.later.items[0].due
}

// open reports whether anything fresh of that batch, or of one before, is due or worked
// at, a claim aside.
func (q *queue) open(batch int) bool {
	for _, it := range q.ready.items {
		if !it.retry && it.batch <= batch {
			return true
		}
	}
	for _, it := range q.busy {
		if it.batch != 0 && it.batch <= batch {
			return true
		}
	}
	return false
}

// readsFiles reports whether files are read of which it is not known yet what they
// declare, or will be at once.
func (q *queue) readsFiles() bool {
	for k := range q.busy {
		if k.file != "" {
			return true
		}
	}
	return slices.ContainsFunc(q.ready.items, func(it *item) bool { return it.file != "" && !it.retry })
}

// len is how many keys wait, those included that are not due.
func (q *queue) len() int { return len(q.waiting) }

// soon reports whether a key is worked at or about to be.
func (q *queue) soon(k key) bool {
	it := q.waiting[k]
	return q.busy[k] != nil || it != nil && it.in == &q.ready && !it.retry
}

func (q *queue) has(k key) bool {
	return q.waiting[k] != nil || q.busy[k] != nil && q.busy[k].again != nil
}

func (q *queue) isBusy(k key) bool { return q.busy[k] != nil }

// order is a heap of items.
type order struct {
	items []*item
	less  func(a, b *item) bool
}

func (o *order) Len() int           { return len(o.items) }
func (o *order) Less(i, j int) bool { return o.less(o.items[i], o.items[j]) }
func (o *order) Swap(i, j int) {
	o.items[i], o.items[j] = o.items[j], o.items[i]
	o.items[i].index, o.items[j].index = i, j
}

func (o *order) Push(x any) {
	it := x.(*item)
	it.index = len(o.items)
	o.items = append(o.items, it)
}

func (o *order) Pop() any {
	last := o.items[len(o.items)-1]
	o.items[len(o.items)-1] = nil
	o.items = o.items[:len(o.items)-1]
	return last
}

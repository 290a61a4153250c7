package controller

import (
	"slices"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
)

// candidate is a job with something to do.
type candidate struct {
	plan  reconcile.Plan
	batch int
}

// todo are the jobs with something to do. They are kept in order, since each step of
// the loop asks for the first, and after a checkout there are thousands. Its zero value
// has none.
type todo struct {
	of    map[job.ID]candidate
	order []job.ID
}

func (t *todo) len() int { return len(t.order) }

func (t *todo) put(id job.ID, c candidate) {
	if t.of == nil {
		t.of = map[job.ID]candidate{}
	}
	if _, known := t.of[id]; !known {
		i, _ := slices.BinarySearchFunc(t.order, id, job.ID.Compare)
		t.order = slices.Insert(t.order, i, id)
	}
	t.of[id] = c
}

func (t *todo) drop(id job.ID) {
	if _, known := t.of[id]; !known {
		return
	}
	delete(t.of, id)
	i, _ := slices.BinarySearchFunc(t.order, id, job.ID.Compare)
	t.order = slices.Delete(t.order, i, i+1)
}

// each gives them in order; those that are dropped meanwhile are left out.
func (t *todo) each(yield func(job.ID, candidate) bool) {
	for i := 0; i < len(t.order); {
		id := t.order[i]
		if !yield(id, t.of[id]) {
			return
		}
		if i < len(t.order) && t.order[i] == id {
			i++
		}
	}
}

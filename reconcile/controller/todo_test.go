package controller

import (
	"fmt"
	"slices"
	"testing"

	"nomad-reconcile/state/job"
)

// What is to be done is given in the order of the jobs, whatever came first, also while
// it is being worked through.
func TestTodoInOrder(t *testing.T) {
	var list todo
	id := func(i int) job.ID { return job.ID{Namespace: "default", Name: fmt.Sprintf("job-%02d", i)} }
	for _, i := range []int{4, 1, 3, 0, 2, 3} {
		list.put(id(i), candidate{batch: i})
	}
	list.drop(id(2))
	list.drop(id(2))
	var got []int
	for at, c := range list.each {
		if at != id(c.batch) {
			t.Errorf("%s has the candidate of %d", at, c.batch)
		}
		got = append(got, c.batch)
		if c.batch != 3 {
			list.drop(at)
		}
	}
	if want := []int{0, 1, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("in the order %v, want %v", got, want)
	}
	if list.len() != 1 || list.order[0] != id(3) {
		t.Errorf("%v are left, want job-03", list.order)
	}
}

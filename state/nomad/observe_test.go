package nomad_test

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

// observed counts the calls of a client by name, and keeps the last error of each.
type observed struct {
	mu   sync.Mutex
	n    map[string]int
	errs map[string]error
}

func observe(t *testing.T, c *nomad.Client) *observed {
	o := &observed{n: map[string]int{}, errs: map[string]error{}}
	c.Observe = func(name string, took time.Duration, err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if took <= 0 {
			t.Errorf("%s took %v", name, took)
		}
		o.n[name]++
		o.errs[name] = err
	}
	return o
}

// every calls every method of a client that asks Nomad.
var every = map[string]func(ctx context.Context, c *nomad.Client){
	"Jobs":        func(ctx context.Context, c *nomad.Client) { c.Jobs(ctx, []string{"default"}) },
	"List":        func(ctx context.Context, c *nomad.Client) { c.List(ctx, []string{"default"}) },
	"Job":         func(ctx context.Context, c *nomad.Client) { c.Job(ctx, web) },
	"WatchJob":    func(ctx context.Context, c *nomad.Client) { c.WatchJob(ctx, web, 0); c.WatchJob(ctx, web, 1) },
	"Allocations": func(ctx context.Context, c *nomad.Client) { c.Allocations(ctx, web, 0); c.Allocations(ctx, web, 1) },
	"Deployments": func(ctx context.Context, c *nomad.Client) { c.Deployments(ctx, web, 0); c.Deployments(ctx, web, 1) },
	"Evaluation":  func(ctx context.Context, c *nomad.Client) { c.Evaluation(ctx, "e", 0); c.Evaluation(ctx, "e", 1) },
	"Evaluations": func(ctx context.Context, c *nomad.Client) { c.Evaluations(ctx, web) },
	"Allocation":  func(ctx context.Context, c *nomad.Client) { c.Allocation(ctx, "a") },
	"Node":        func(ctx context.Context, c *nomad.Client) { c.Node(ctx, "n") },
	"Services":    func(ctx context.Context, c *nomad.Client) { c.Services(ctx, "default", "s") },
	"Checks":      func(ctx context.Context, c *nomad.Client) { c.Checks(ctx, "a") },
	"Submission":  func(ctx context.Context, c *nomad.Client) { c.Submission(ctx, web, 0) },
	"Plan":        func(ctx context.Context, c *nomad.Client) { c.Plan(ctx, emptyJob("web")) },
	"Parse":       func(ctx context.Context, c *nomad.Client) { c.Parse(ctx, "default", &api.JobSubmission{}) },
	"Register":    func(ctx context.Context, c *nomad.Client) { c.Register(ctx, emptyJob("web"), nil, 0) },
	"Stop":        func(ctx context.Context, c *nomad.Client) { c.Stop(ctx, emptyJob("web"), 1) },
	"Dispatch":    func(ctx context.Context, c *nomad.Client) { c.Dispatch(ctx, web, nil, nil) },
	"Force":       func(ctx context.Context, c *nomad.Client) { c.Force(ctx, web) },
	"Logs":        func(ctx context.Context, c *nomad.Client) { c.Logs(ctx, "a", "t", "stdout", false) },
	"Tail":        func(ctx context.Context, c *nomad.Client) { c.Tail(ctx, "a", "t", "stdout", 1) },
	"LastFailure": func(ctx context.Context, c *nomad.Client) { c.LastFailure(ctx, nil) },
	"Follow": func(ctx context.Context, c *nomad.Client) {
		ctx, cancel := context.WithCancel(ctx)
		c.Follow(ctx, []string{"default"}, 0, func(nomad.Batch) { cancel() })
	},
}

// Every request has its name in Calls, and every name its request.
func TestObserveNamesEveryCall(t *testing.T) {
	t.Parallel()
	for m := range reflect.TypeFor[*nomad.Client]().Methods() {
		if every[m.Name] == nil && m.Name != "Address" && m.Name != "SetSilence" {
			t.Errorf("nobody calls %s here", m.Name)
		}
	}
	c := newClient(t, startDouble(t, nomadtest.Options{}).URL())
	o := observe(t, c)
	for _, call := range every {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		call(ctx, c)
		cancel()
	}
	if diff := cmp.Diff(nomad.Calls(), slices.Sorted(maps.Keys(o.n))); diff != "" {
		t.Errorf("Calls differ from what was observed (-Calls +observed):\n%s", diff)
	}
	if !slices.IsSorted(nomad.Calls()) {
		t.Errorf("not sorted: %v", nomad.Calls())
	}
}

func TestObserveTellsErrorsAndRounds(t *testing.T) {
	t.Parallel()
	srv := startDouble(t, nomadtest.Options{Namespaces: []string{"apps"}})
	c := newClient(t, srv.URL())
	o := observe(t, c)
	if sub, err := c.Submission(t.Context(), web, 0); sub != nil || err != nil {
		t.Errorf("submission %v, %v", sub, err)
	}
	if !errors.Is(o.errs["submission_read"], nomad.ErrNotFound) {
		t.Errorf("observed %v of a submission that is not there", o.errs["submission_read"])
	}
	if _, err := c.Jobs(t.Context(), []string{"apps", "default"}); err != nil || o.n["jobs_list"] != 2 || o.errs["jobs_list"] != nil {
		t.Errorf("two namespaces were %d lists (%v, %v)", o.n["jobs_list"], err, o.errs["jobs_list"])
	}
	srv.Fault(nomadtest.Forbidden("PUT", "*"))
	if c.Register(t.Context(), emptyJob("web"), nil, 0); !errors.Is(o.errs["job_register"], nomad.ErrForbidden) {
		t.Errorf("observed %v of a register that is forbidden", o.errs["job_register"])
	}
	id := job.ID{Namespace: "default", Name: "none"}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if c.Allocations(ctx, id, 9); !errors.Is(o.errs["allocations_list_wait"], context.DeadlineExceeded) {
		t.Errorf("observed %v of a read that waits", o.errs["allocations_list_wait"])
	}
}

package nomad

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

const (
	// longestWait bounds one blocking read; then it answers that nothing moved.
	longestWait = 5 * time.Minute
	// wait is how long one request is held: short enough for most proxies.
	wait = 50 * time.Second
	// pace keeps a server (or a proxy) that does not hold requests from being
	// asked in a tight loop.
	pace = time.Second
)

// WatchJob is Job, and waits as Allocations does.
func (c *Client) WatchJob(ctx context.Context, id job.ID, index uint64) (*api.Job, uint64, error) {
	return blocking(ctx, c, jobCall("job_read", "reading job", id, "read-job"), index, func(q *api.QueryOptions) (*api.Job, *api.QueryMeta, error) {
		return c.api.Jobs().Info(id.Name, q)
	})
}

// Allocations lists all allocations of a job, newest first, and the index to wait
// from. With an index above 0 it returns once Nomad has moved past it, or after
// five minutes with the index unmoved.
func (c *Client) Allocations(ctx context.Context, id job.ID, index uint64) ([]*api.AllocationListStub, uint64, error) {
	return blocking(ctx, c, jobCall("allocations_list", "reading the allocations of", id, "read-job"), index, func(q *api.QueryOptions) ([]*api.AllocationListStub, *api.QueryMeta, error) {
		return c.api.Jobs().Allocations(id.Name, true, q)
	})
}

// Deployments lists the deployments of a job, newest first; it waits as
// Allocations does. Batch jobs have none.
func (c *Client) Deployments(ctx context.Context, id job.ID, index uint64) ([]*api.Deployment, uint64, error) {
	return blocking(ctx, c, jobCall("deployments_list", "reading the deployments of", id, "read-job"), index, func(q *api.QueryOptions) ([]*api.Deployment, *api.QueryMeta, error) {
		list, meta, err := c.api.Jobs().Deployments(id.Name, false, q)
		slices.SortFunc(list, func(a, b *api.Deployment) int { return cmp.Compare(b.CreateIndex, a.CreateIndex) })
		return list, meta, err
	})
}

// Evaluation is one evaluation; it waits as Allocations does.
func (c *Client) Evaluation(ctx context.Context, evalID string, index uint64) (*api.Evaluation, uint64, error) {
	what := call{name: "evaluation_read", op: "reading evaluation", subject: evalID, namespace: allNamespaces, needs: "read-job"}
	return blocking(ctx, c, what, index, func(q *api.QueryOptions) (*api.Evaluation, *api.QueryMeta, error) {
		return c.api.Evaluations().Info(evalID, q)
	})
}

// blocking asks until the index is another one, the context ends (its error), or
// longestWait is over (the answer as it is).
func blocking[T any](ctx context.Context, c *Client, what call, index uint64, get func(*api.QueryOptions) (T, *api.QueryMeta, error)) (T, uint64, error) {
	end := time.Now().Add(longestWait)
	for {
		asked := time.Now()
		out, next, err := askOnce(ctx, c, what, index, get)
		if err != nil || next != index || !time.Now().Before(end) {
			return out, next, err
		}
		if err := sleepUntil(ctx, asked.Add(pace)); err != nil {
			var zero T
			return zero, index, err
		}
	}
}

func askOnce[T any](ctx context.Context, c *Client, what call, index uint64, get func(*api.QueryOptions) (T, *api.QueryMeta, error)) (T, uint64, error) {
	limit := answerTime
	if index > 0 {
		limit += wait + wait/16 // Nomad adds up to a sixteenth
		what.name += waits
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	what.read = true
	q := &api.QueryOptions{Namespace: what.namespace, WaitIndex: index, WaitTime: wait}
	asked := time.Now()
	out, meta, err := get(q.WithContext(limited))
	if err := c.answered(ctx, what, asked, err); err != nil {
		var zero T
		return zero, index, err
	}
	return out, max(meta.LastIndex, 1), nil
}

func sleepUntil(ctx context.Context, t time.Time) error {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

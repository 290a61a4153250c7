package nomad

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// answerTime is how long Nomad may take to answer a call that does not wait.
const answerTime = 30 * time.Second

// allNamespaces asks for everything that the token may see.
const allNamespaces = "*"

// Client speaks to one Nomad cluster. It is safe for concurrent use.
type Client struct {
	// Observe is told of every request: its name (one of Calls), how long the answer
	// took, and the error that it came to, if any: ErrNotFound too where the method
	// makes nothing of it. A read that waits is told round by round, a stream when it
	// has begun. It is set before the first call and is called concurrently; nil is
	// nobody.
	Observe func(call string, took time.Duration, err error)

	api     *api.Client
	address string
	silence time.Duration // see silence
}

// New makes a client; it connects at the first call. The configuration's own
// namespace is not used: every call names its namespace.
func New(cfg *api.Config) (*Client, error) {
	own := *cfg
	if h := own.HttpClient; h != nil && h.Timeout > 0 { // it would cut streams; every call has its own limit
		untimed := *h
		untimed.Timeout = 0
		own.HttpClient = &untimed
	}
	c, err := api.NewClient(&own)
	if err != nil {
		return nil, &Error{
			Op:      "connecting to Nomad at",
			Subject: cfg.Address,
			Hint:    "check NOMAD_ADDR, the other NOMAD_* variables and the nomad block",
			Err:     err,
		}
	}
	return &Client{api: c, address: cmp.Or(cfg.Address, c.Address()), silence: silence}, nil
}

// Address is where this client looks for Nomad.
func (c *Client) Address() string { return c.address }

// read runs one query that does not wait.
func read[T any](ctx context.Context, c *Client, what call, get func(*api.QueryOptions) (T, *api.QueryMeta, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	what.read = true
	q := &api.QueryOptions{Namespace: what.namespace}
	asked := time.Now()
	out, _, err := get(q.WithContext(limited))
	if err := c.answered(ctx, what, asked, err); err != nil {
		var zero T
		return zero, err
	}
	return out, nil
}

// write runs one write.
func write[T any](ctx context.Context, c *Client, what call, put func(*api.WriteOptions) (T, *api.WriteMeta, error)) (T, error) {
	limited, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	w := &api.WriteOptions{Namespace: what.namespace}
	asked := time.Now()
	out, _, err := put(w.WithContext(limited))
	if err := c.answered(ctx, what, asked, err); err != nil {
		var zero T
		return zero, err
	}
	return out, nil
}

// Jobs lists the jobs of the namespaces, in the order of namespace and ID; "*"
// stands for all that the token may see. Every stub has its namespace set.
func (c *Client) Jobs(ctx context.Context, namespaces []string) ([]*api.JobListStub, error) {
	stubs, _, err := c.List(ctx, namespaces)
	return stubs, err
}

// List is Jobs and the index to follow from: whatever the list does not show yet has
// a higher one. Each namespace is one request.
func (c *Client) List(ctx context.Context, namespaces []string) ([]*api.JobListStub, uint64, error) {
	var all []*api.JobListStub
	var index uint64
	for i, ns := range oneEach(namespaces) {
		stubs, at, err := c.jobsOf(ctx, ns)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, stubs...)
		if i == 0 || at < index {
			index = at
		}
	}
	slices.SortFunc(all, func(a, b *api.JobListStub) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
	})
	return all, index, nil
}

// oneEach leaves out what is asked for twice.
func oneEach(namespaces []string) []string {
	if slices.Contains(namespaces, allNamespaces) {
		return []string{allNamespaces}
	}
	return slices.Compact(slices.Sorted(slices.Values(namespaces)))
}

func (c *Client) jobsOf(ctx context.Context, ns string) ([]*api.JobListStub, uint64, error) {
	what := call{name: "jobs_list", op: "listing the jobs of", subject: fmt.Sprintf("namespace %q", ns), namespace: ns, needs: "list-jobs"}
	stubs, index, err := askOnce(ctx, c, what, 0, c.api.Jobs().List)
	if err != nil {
		return nil, 0, err
	}
	for _, s := range stubs {
		if s.Namespace == "" {
			s.Namespace = ns
		}
	}
	return stubs, index, nil
}

// Job is the job as Nomad has it registered. The error matches ErrNotFound where
// there is none.
func (c *Client) Job(ctx context.Context, id job.ID) (*api.Job, error) {
	return read(ctx, c, jobCall("job_read", "reading job", id, "read-job"), func(q *api.QueryOptions) (*api.Job, *api.QueryMeta, error) {
		return c.api.Jobs().Info(id.Name, q)
	})
}

// Allocation is one allocation with its job and its tasks' states. The error
// matches ErrNotFound where there is none (Nomad collects old ones).
func (c *Client) Allocation(ctx context.Context, allocID string) (*api.Allocation, error) {
	what := call{name: "allocation_read", op: "reading allocation", subject: allocID, namespace: allNamespaces, needs: "read-job"}
	return read(ctx, c, what, func(q *api.QueryOptions) (*api.Allocation, *api.QueryMeta, error) {
		return c.api.Allocations().Info(allocID, q)
	})
}

// Node is one client node with its attributes.
func (c *Client) Node(ctx context.Context, nodeID string) (*api.Node, error) {
	what := call{name: "node_read", op: "reading node", subject: nodeID, needs: `node { policy = "read" }`}
	return read(ctx, c, what, func(q *api.QueryOptions) (*api.Node, *api.QueryMeta, error) {
		return c.api.Nodes().Info(nodeID, q)
	})
}

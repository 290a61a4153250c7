package nomad

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// Services are the instances of a service that Nomad's own discovery knows; none
// where it knows no such service.
func (c *Client) Services(ctx context.Context, ns, name string) ([]*api.ServiceRegistration, error) {
	what := call{name: "service_read", op: "reading service", subject: name, namespace: ns, needs: "read-job"}
	out, err := read(ctx, c, what, func(q *api.QueryOptions) ([]*api.ServiceRegistration, *api.QueryMeta, error) {
		return c.api.Services().Get(name, q)
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return out, err
}

// Checks are the last results of the checks of an allocation's services, by the
// checks' IDs. The node of the allocation answers.
func (c *Client) Checks(ctx context.Context, allocID string) (api.AllocCheckStatuses, error) {
	what := call{name: "checks_read", op: "reading the checks of", subject: fmt.Sprintf("allocation %s", allocID), namespace: allNamespaces, needs: "read-job"}
	return read(ctx, c, what, func(q *api.QueryOptions) (api.AllocCheckStatuses, *api.QueryMeta, error) {
		out, err := c.api.Allocations().Checks(allocID, q)
		return out, nil, err
	})
}

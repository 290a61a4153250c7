package nomad

import (
	"cmp"
	"context"
	"slices"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// Evaluations lists what the scheduler made of a job, the newest first.
func (c *Client) Evaluations(ctx context.Context, id job.ID) ([]*api.Evaluation, error) {
	list, err := read(ctx, c, jobCall("evaluations_list", "reading the evaluations of", id, "read-job"), func(q *api.QueryOptions) ([]*api.Evaluation, *api.QueryMeta, error) {
		return c.api.Jobs().Evaluations(id.Name, q)
	})
	slices.SortFunc(list, func(a, b *api.Evaluation) int { return cmp.Compare(b.CreateIndex, a.CreateIndex) })
	return list, err
}

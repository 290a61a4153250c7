package reconcile_test

import (
	"context"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// deployed is a Nomad that has a job with canaries, whose old version runs.
type deployed struct {
	reconcile.Nomad
	status string
}

func (d deployed) Job(context.Context, job.ID) (*api.Job, error) {
	return &api.Job{ID: new("web"), Type: new("service"), Version: new(uint64(1)), JobModifyIndex: new(uint64(9)), TaskGroups: []*api.TaskGroup{
		{Name: new("g"), Count: new(1), Update: &api.UpdateStrategy{Canary: new(1)}},
	}}, nil
}

func (deployed) Submission(context.Context, job.ID, uint64) (*api.JobSubmission, error) {
	return nil, nil
}

func (deployed) Allocations(context.Context, job.ID, uint64) ([]*api.AllocationListStub, uint64, error) {
	return []*api.AllocationListStub{{ID: "a", Name: "web.g[0]", DesiredStatus: "run", ClientStatus: "running"}}, 1, nil
}

func (d deployed) Deployments(context.Context, job.ID, uint64) ([]*api.Deployment, uint64, error) {
	return []*api.Deployment{
		{ID: "d2345678-long", JobSpecModifyIndex: 9, Status: d.status, StatusDescription: "Deployment marked as failed."},
		{ID: "d1345678-long", JobSpecModifyIndex: 5, Status: "failed"},
	}, 1, nil
}

func (deployed) LastFailure(context.Context, []*api.AllocationListStub) (*nomad.Failure, error) {
	return nil, nil
}

// Canaries that were given up are gone, and what runs is healthy, but it is not the
// version that is registered.
func TestCanariesGivenUp(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{"failed": "deployment d2345678 failed: Deployment marked as failed", "successful": "", "running": ""} {
		live, err := reconcile.ReadLive(t.Context(), deployed{status: status}, job.ID{Namespace: "default", Name: "web"})
		if err != nil || live.State.Why != want {
			t.Errorf("%s: %q, %v, want %q", status, live.State.Why, err, want)
		}
	}
}

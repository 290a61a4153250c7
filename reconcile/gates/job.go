package gates

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// jobGate looks at another job until it is as it should be.
type jobGate struct {
	patience
	name      string
	namespace string // empty: that of the job that is changed
	status    string
	healthy   bool
}

func decodeJob(name string, body hcl.Body) (any, hcl.Diagnostics) {
	a := attributesOf(body, keys["job"])
	g := &jobGate{
		patience: a.patience(), name: a.text("job", name), namespace: a.text("namespace", ""),
		status: a.oneOf("status", "running", "pending", "dead"), healthy: value(a.flag("healthy")),
	}
	if g.healthy && g.status != "running" {
		a.fail("healthy", "Contradiction", "A job that is %s cannot be healthy. Leave healthy out.", g.status)
	}
	return g, a.diags
}

// String says for a plan what the gate asks.
func (g *jobGate) String() string {
	want := g.status
	if g.healthy {
		want += " and healthy"
	}
	return fmt.Sprintf("job %s is %s, within %s", job.ID{Namespace: cmp.Or(g.namespace, job.DefaultNamespace), Name: g.name}, want, g.within)
}

// Check looks until the job is as it should be.
func (g *jobGate) Check(ctx context.Context, n Nomad, c Change) (bool, string) {
	id := job.ID{Namespace: cmp.Or(g.namespace, c.ID.Namespace), Name: g.name}
	return g.until(ctx, func(ctx context.Context) (bool, string) {
		j, err := n.Job(ctx, id)
		if err != nil {
			return false, err.Error()
		}
		saw := fmt.Sprintf("job %s is %s", id, value(j.Status))
		if value(j.Stop) {
			saw += " (stopped)"
		}
		if value(j.Status) != g.status || !g.healthy {
			return value(j.Status) == g.status, saw
		}
		allocs, _, err := n.Allocations(ctx, id, 0)
		if err != nil {
			return false, err.Error()
		}
		if why := illness(j, fresh(allocs, value(j.Version))); why != "" {
			return false, saw + ", but " + why
		}
		return true, saw + " and healthy"
	})
}

// illness says why a job that is called running is not well; empty if it is.
func illness(j *api.Job, allocs []*api.AllocationListStub) string {
	if _, nothing := nothingToRun(j); nothing {
		return ""
	}
	once := value(j.Type) == api.JobTypeBatch || value(j.Type) == api.JobTypeSysbatch
	good := 0
	for _, a := range allocs {
		switch {
		case between(a):
			return fmt.Sprintf("allocation %s is restarting", short(a.ID))
		case a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil && !*a.DeploymentStatus.Healthy:
			return fmt.Sprintf("allocation %s is unhealthy", short(a.ID))
		case a.ClientStatus == api.AllocClientStatusRunning, once && a.ClientStatus == api.AllocClientStatusComplete:
			good++
		default:
			return fmt.Sprintf("allocation %s is %s", short(a.ID), a.ClientStatus)
		}
	}
	want := Count(j)
	if t := value(j.Type); t == api.JobTypeSystem || t == api.JobTypeSysbatch {
		want = len(allocs)
	}
	if good < want {
		return fmt.Sprintf("%d of %d allocations are running", good, want)
	}
	return ""
}

package gates

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

const dispatchWithin = 5 * time.Minute

// dispatchGate launches a parameterized or periodic job once and waits until what
// was launched has ended well. It is the one gate that does something.
type dispatchGate struct {
	meta    map[string]string
	payload string
	within  time.Duration
	block   hcl.Range
}

func decodeDispatch(_ string, body hcl.Body) (any, hcl.Diagnostics) {
	a := attributesOf(body, keys["dispatch"])
	g := &dispatchGate{meta: a.textMap("meta"), payload: a.text("payload", ""), within: a.duration("within", dispatchWithin), block: a.block}
	return g, a.diags
}

// String says for a plan what the gate does.
func (g *dispatchGate) String() string {
	return fmt.Sprintf("the job is launched once and completes with exit code 0, within %s", g.within)
}

// CheckJob: only two kinds of jobs can be launched.
func (g *dispatchGate) CheckJob(j *api.Job) hcl.Diagnostics {
	switch {
	case j.ParameterizedJob != nil:
		return nil
	case j.Periodic == nil:
		return hcl.Diagnostics{mistake(g.block, "Not to be launched", "The job is neither parameterized nor periodic: Nomad runs it by itself. Remove the gate.")}
	case len(g.meta) > 0 || g.payload != "":
		return hcl.Diagnostics{mistake(g.block, "Not parameterized", "A periodic job takes neither meta nor payload. Remove them.")}
	}
	return nil
}

// Check launches the job and waits for the end.
func (g *dispatchGate) Check(ctx context.Context, n Nomad, c Change) (bool, string) {
	if value(c.Job.Stop) {
		return true, "the job is stopped"
	}
	waiting, cancel := context.WithTimeout(ctx, g.within)
	defer cancel()
	child, err := g.launch(waiting, n, c)
	if ctx.Err() != nil {
		return false, over(ctx, "")
	}
	if err != nil {
		return false, err.Error()
	}
	j, last := awaitEnd(waiting, n, child)
	if j == nil {
		return false, gaveUp(ctx, g.within, last+", and goes on")
	}
	return outcome(ctx, n, child, j)
}

// launch waits for a Nomad that answers: a launch that is asked for twice may be two.
func (g *dispatchGate) launch(ctx context.Context, n Nomad, c Change) (job.ID, error) {
	name := ""
	_, err := n.Job(ctx, c.ID)
	for errors.Is(err, nomad.ErrUnreachable) && ctx.Err() == nil {
		wait(ctx, faultWait)
		_, err = n.Job(ctx, c.ID)
	}
	if errors.Is(err, nomad.ErrUnreachable) {
		return job.ID{}, err
	}
	if c.Job.ParameterizedJob != nil {
		name, err = n.Dispatch(ctx, c.ID, g.meta, []byte(g.payload))
	} else {
		name, err = n.Force(ctx, c.ID)
	}
	return job.ID{Namespace: c.ID.Namespace, Name: name}, err
}

// awaitEnd waits until a job is dead; nil when ctx ends before, and what it was last.
func awaitEnd(ctx context.Context, n Nomad, id job.ID) (dead *api.Job, last string) {
	var index uint64
	last = fmt.Sprintf("%s was launched", id)
	for ctx.Err() == nil {
		j, next, err := n.WatchJob(ctx, id, index)
		switch {
		case ctx.Err() != nil:
		case err != nil: // what was launched runs on, whether Nomad answers or not
			last = err.Error()
			wait(ctx, faultWait)
		case value(j.Status) == "dead":
			return j, ""
		default:
			last, index = fmt.Sprintf("%s is %s", id, value(j.Status)), next
		}
	}
	return nil, last
}

// outcome tells how a job that has ended did.
func outcome(ctx context.Context, n Nomad, id job.ID, j *api.Job) (bool, string) {
	if value(j.Stop) {
		return false, fmt.Sprintf("%s was stopped", id)
	}
	c := Change{ID: id, Job: j}
	allocs, err := Fresh(ctx, n, c)
	if err != nil {
		return false, err.Error()
	}
	slices.SortFunc(allocs, func(a, b *api.AllocationListStub) int { return strings.Compare(a.ID, b.ID) })
	for _, a := range allocs {
		if a.ClientStatus != api.AllocClientStatusComplete {
			return false, withFailure(ctx, n, c, fmt.Sprintf("%s: allocation %s is %s", id, short(a.ID), a.ClientStatus))
		}
	}
	if len(allocs) == 0 {
		return false, fmt.Sprintf("%s ended without an allocation", id)
	}
	return true, fmt.Sprintf("%s completed", id)
}

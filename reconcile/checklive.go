package reconcile

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// CheckLive holds what Nomad has registered against the policies, whether or not a
// file declares it: every job of the namespaces, or those that sel names. The plans
// are to be shown alone, and say nothing of files. Children of periodic and
// parameterized jobs are left out: they are launched from their parent.
func (p *Planner) CheckLive(ctx context.Context, sel Selection) (Result, error) {
	ids, err := p.Registered(ctx, sel)
	if err != nil {
		return Result{}, err
	}
	seen := &matches{}
	plans := make([]*Plan, len(ids))
	g, checking := errgroup.WithContext(ctx)
	g.SetLimit(max(p.Concurrency, 1))
	for i, id := range ids {
		g.Go(func() error {
			j, err := p.Nomad.Job(checking, id)
			if errors.Is(err, nomad.ErrNotFound) {
				return nil // it went away after it was listed
			}
			if err != nil {
				return err
			}
			plans[i] = p.checkLive(id, j, seen)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return Result{}, err
	}
	r := Result{Sources: map[string]*hcl.File{}}
	for _, plan := range plans {
		if plan != nil {
			r.Plans = append(r.Plans, *plan)
		}
	}
	if !slices.ContainsFunc(r.Plans, func(p Plan) bool { return p.Condition == Held }) && sel.all() {
		r.Unmatched = seen.without(p.Policies)
	}
	return r, nil
}

// Registered are the IDs of the live jobs that are asked for, sorted; children of
// periodic and parameterized jobs are none of them.
func (p *Planner) Registered(ctx context.Context, sel Selection) ([]job.ID, error) {
	stubs, err := p.Nomad.Jobs(ctx, p.Namespaces)
	if err != nil {
		return nil, err
	}
	var ids []job.ID
	for _, s := range stubs {
		id := job.ID{Namespace: cmp.Or(s.Namespace, job.DefaultNamespace), Name: s.ID}
		if s.ParentID == "" && (sel.all() || sel.named(id)) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, job.ID.Compare)
	return ids, nil
}

func (p *Planner) checkLive(id job.ID, j *api.Job, seen *matches) *Plan {
	o := Observation{ID: id, Live: &Live{Job: j}}
	p.desireLive(&o)
	seen.saw(&o)
	out := &Plan{ID: id, Findings: o.Live.Findings, Condition: InSync, Live: &LiveState{Status: value(j.Status), Stopped: j.Stop != nil && *j.Stop}}
	if out.Hold = o.Held; out.Hold == nil {
		out.Hold = conflict(o)
	}
	switch {
	case out.Hold != nil:
		out.Condition, out.Reason, out.Findings = Held, out.Hold.Reason, unfixable(out.Findings)
	case slices.ContainsFunc(out.Findings, func(f Finding) bool { return f.Denied() }):
		out.Condition, out.Reason = Denied, deniedReason(out.Findings)
	case slices.ContainsFunc(out.Findings, func(f Finding) bool { return f.Fixable() }):
		out.Condition, out.Reason = OutOfSync, outReason(*out)
	}
	return out
}

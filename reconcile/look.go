package reconcile

import (
	"context"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/source"
)

// Ask is one thing to look at: a job, or a file of which it is not known yet which job
// it declares.
type Ask struct {
	ID     job.ID
	File   string                        // absolute; in place of ID
	Listed func(job.ID) *api.JobListStub // what a list of Nomad's has just said of a job, or nil; may be nil
	Trial  Trial                         // of the policies in force
	Grace  bool                          // the job's file has been gone for the grace period
}

// Looked is what became of an Ask.
type Looked struct {
	ID          job.ID   // the job; zero of a file that holds none
	Others      []job.ID // jobs that the files declare instead of the one that was asked for
	Plan        *Plan    // nil where there is no such job anywhere, or another is declared
	Index       uint64   // the live job's JobModifyIndex; 0 where Nomad does not know it
	Diagnostics hcl.Diagnostics
	Last        *history.Run // the job's newest run; nil without one
	Open        *history.Run // a run of the job that has not ended; nil without one
}

// Look takes one job from what there is of it to its plan, reading everything about
// it afresh, and nothing else. The catalog learns which jobs the files declare.
func (p *Planner) Look(ctx context.Context, c *Catalog, ask Ask, sync Sync) (Looked, error) {
	ps := &pass{Planner: p, sync: sync, listed: ask.Listed, each: true}
	ps.past = memory{byJob: map[job.ID][]history.Run{}, proven: ask.Trial.Proven, paused: ask.Trial.Paused}
	if p.History != nil {
		var err error
		if ps.past.suspended, err = p.History.Suspensions(); err != nil {
			return Looked{}, err
		}
	}
	paths := []string{ask.File}
	if ask.File == "" {
		paths = c.Files(ask.ID)
	}
	looks, err := ps.lookAt(ctx, c, paths)
	if err != nil {
		return Looked{}, err
	}
	out := Looked{ID: ask.ID}
	if ask.File != "" && len(looks) == 1 {
		out.ID = looks[0].id
	}
	same := slices.DeleteFunc(slices.Clone(looks), func(l look) bool { return l.id != out.ID })
	for _, l := range looks {
		if l.id != out.ID {
			out.Others = append(out.Others, l.id)
		}
	}
	switch {
	case out.ID == (job.ID{}):
		return out, nil
	case len(same) > 0:
		out.Plan = new(planOf(same))
	default:
		if out.Plan, err = ps.withoutAny(ctx, c, ask); err != nil {
			return out, err
		}
	}
	return ps.finish(out, same), nil
}

// lookAt reads the files and tells the catalog what they are; those that hold no job
// are left out.
func (ps *pass) lookAt(ctx context.Context, c *Catalog, paths []string) ([]look, error) {
	var out []look
	for _, path := range paths {
		src, known := c.source(path)
		if !known {
			continue
		}
		at, r := c.clock(), Reading{Stamp: source.StampOf(path)}
		l, err := ps.look(ctx, sourceFile{source: src, path: path, note: func(dep string) {
			if r.Deps == nil {
				r.Deps = map[string]source.Stamp{}
			}
			if _, seen := r.Deps[dep]; !seen {
				r.Deps[dep] = source.StampOf(dep)
			}
		}})
		if err != nil {
			return nil, err
		}
		r.ID = l.id
		if c.note(path, l.kind(), r, at); l.name != "" {
			out = append(out, l)
		}
	}
	return out, nil
}

func (l look) kind() reading {
	switch {
	case l.name == "":
		return noJob
	case l.unnamed:
		return unnamed
	case l.unread:
		return unread
	}
	return declares
}

// withoutAny is the plan of a job that no file declares: one that a NomadSource names,
// or that we have registered from a file that is gone. nil: of neither.
func (ps *pass) withoutAny(ctx context.Context, c *Catalog, ask Ask) (*Plan, error) {
	if ps.Nomad == nil {
		return nil, nil
	}
	whole, named := c.whole()
	if by := ps.sourceOf(ask.ID); by != nil {
		if plan, err := ps.lookAlone(ctx, Observation{ID: ask.ID, By: by, Complete: named}); plan != nil || err != nil {
			return plan, err
		}
	}
	if !ps.ours(ask.ID) {
		return nil, nil
	}
	if err := ps.recollectJob(&ps.past, ask.ID); err != nil {
		return nil, err
	}
	if !registeredFromFile(ps.past.byJob[ask.ID]) {
		return nil, nil
	}
	return ps.orphan(ctx, Observation{ID: ask.ID, Ours: true, Complete: whole, Grace: ask.Grace})
}

func (ps *pass) finish(out Looked, same []look) Looked {
	runs := ps.past.byJob[out.ID]
	if len(runs) > 0 {
		out.Last = new(runs[0]) // a copy: it is kept, and the others are not
	}
	if i := slices.IndexFunc(runs, func(r history.Run) bool { return r.Open }); i >= 0 {
		out.Open = new(runs[i])
	}
	if out.Plan == nil {
		return out
	}
	out.Index = out.Plan.Basis.JobModifyIndex
	for _, l := range same { // of two files none counts, but there may be a live job
		out.Index = max(out.Index, l.plan.Basis.JobModifyIndex)
	}
	r := Result{Plans: []Plan{*out.Plan}, Sources: map[string]*hcl.File{}}
	r.explain(map[job.ID][]look{out.ID: same})
	out.Plan, out.Diagnostics = &r.Plans[0], r.Diagnostics
	return out
}

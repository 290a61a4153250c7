package reconcile

import (
	"context"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/source"
)

// Source is a folder of job files and what their variables are given.
type Source struct {
	source.Directory
	Vars     map[string]string
	VarFiles []jobspec.VarFile
}

// Planner looks and computes: it never changes a file or a job.
type Planner struct {
	Sources     []Source
	Policies    *policies.Set
	Nomad       Nomad          // nil: the files alone (check)
	History     *history.Store // nil: nothing is remembered
	Env         []string       // the process environment; only NOMAD_VAR_* matter
	Namespaces  []string       // whose jobs are ours; "*" for all
	Concurrency int            // jobs observed at once

	Gone map[job.ID]int // passes since the file of a job of ours was last seen; may be nil
}

// Selection narrows a pass to some jobs; empty means all.
type Selection struct {
	Jobs  []string // job IDs: NAME or NAME@NAMESPACE
	Files []string // absolute paths
}

func (s Selection) all() bool { return len(s.Jobs) == 0 && len(s.Files) == 0 }

func (s Selection) named(id job.ID) bool {
	return slices.Contains(s.Jobs, id.Name) || slices.Contains(s.Jobs, id.Name+"@"+id.Namespace)
}

func (s Selection) holds(d draft) bool {
	return s.all() || s.named(d.id) || slices.Contains(s.Files, d.doc.Path)
}

// Result is one pass: the plans, ordered by job, and what could not be read.
type Result struct {
	Plans       []Plan
	Diagnostics hcl.Diagnostics // errors and warnings of job files and policies
	Sources     map[string]*hcl.File
}

// Plan observes, desires, previews and decides, for every selected job. A
// fault that keeps the whole pass from telling the truth (a source folder that
// is not there, a Nomad that does not answer) is an error; what is wrong with
// one job is that job's hold.
func (p *Planner) Plan(ctx context.Context, sel Selection, sync Sync) (Result, error) {
	observations, result, err := p.observe(ctx, sel)
	if err != nil {
		return result, err
	}
	plans := make([]Plan, len(observations))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(p.Concurrency, 1))
	for i := range observations {
		g.Go(func() error {
			o := &observations[i]
			p.desire(o)
			if err := p.preview(ctx, o); err != nil {
				return err
			}
			plans[i] = Decide(*o, forJob(sync, sel, *o))
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return result, err
	}
	for i, o := range observations {
		result.add(o, plans[i])
	}
	return result, nil
}

// forJob: a job that a person names on the command line, by ID or by file, is
// registered even if Nomad does not know it.
func forJob(s Sync, sel Selection, o Observation) Sync {
	named := sel.named(o.ID) || o.File != nil && slices.Contains(sel.Files, o.File.Doc.Path)
	if s.Person && named {
		s.Create = Create
	}
	return s
}

func (r *Result) add(o Observation, p Plan) {
	r.Plans = append(r.Plans, p)
	if o.File == nil {
		return
	}
	r.Diagnostics = append(r.Diagnostics, o.File.Diagnostics...)
	for name, f := range o.File.Sources {
		r.Sources[name] = f
	}
}

package reconcile

import (
	"context"
	"slices"
	"time"

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
	Vars      map[string]string
	VarFiles  []jobspec.VarFile
	JobVars   []JobVars // over VarFiles, a later one over an earlier one
	FilesFrom string    // FilesFromJob, FilesFromSource; empty: the one, then the other

	Text *source.Document // instead of the folder's files: a text that is no file, such as standard input
}

// Planner looks and computes: it never changes a file or a job.
type Planner struct {
	Sources     []Source
	Nomads      []NomadSource
	Policies    *policies.Set
	Nomad       Nomad           // nil: the files alone (check)
	History     *history.Store  // nil: nothing is remembered
	Env         []string        // the process environment; only NOMAD_VAR_* matter
	Namespaces  []string        // whose jobs are ours; "*" for all
	Concurrency int             // jobs observed at once
	Listed      func(files int) // called when the sources have been listed; may be nil
	ReadOnly    bool            // the plans are to be shown alone: Apply refuses them, and they take little memory
	Whole       bool            // plans that do nothing keep what they were made from as well, for Save

	Gone map[job.ID]int // passes since the file of a job of ours was last seen; may be nil

	Clock func() time.Time // tells Apply how old a plan is; nil: too old to rely on what it read
}

func (p *Planner) now() time.Time {
	if p.Clock == nil {
		return time.Time{}
	}
	return p.Clock()
}

// Selection narrows a pass to some jobs; empty means all.
type Selection struct {
	Jobs  []string // job IDs: NAME or NAME@NAMESPACE
	Files []string // absolute paths
}

func (s Selection) all() bool { return len(s.Jobs) == 0 && len(s.Files) == 0 }

func (s Selection) named(id job.ID) bool {
	return slices.ContainsFunc(s.Jobs, id.Called)
}

func (s Selection) holds(d draft) bool {
	return s.all() || s.named(d.id) || slices.Contains(s.Files, d.doc.Path)
}

// Skipped is a file of a source that holds no job.
type Skipped struct {
	File   string // as users see it
	Path   string // absolute
	Kind   string // what it looks like, in the singular: "variable file"
	Reason string // ... and why
	Next   string // what to do with it
}

// Result is one pass: the plans, ordered by job, what was passed over, in the order
// of the sources, and what could not be read.
type Result struct {
	Plans       []Plan
	Skipped     []Skipped       // of the files that were asked for
	Diagnostics hcl.Diagnostics // errors and warnings of job files and policies
	Sources     map[string]*hcl.File
	Proven      bool            // some job has converged under this revision of the policies; else the agent tries one first
	Unmatched   []policies.Info // policies that select none of the jobs, in their order; none where not all jobs are known
}

// Plan observes, desires, previews and decides, for every selected job. A
// fault that keeps the whole pass from telling the truth (a source folder that
// is not there, a Nomad that does not answer) is an error; what is wrong with
// one job is that job's hold.
func (p *Planner) Plan(ctx context.Context, sel Selection, sync Sync) (Result, error) {
	past, err := p.recollect()
	if err != nil {
		return Result{}, err
	}
	ps := &pass{Planner: p, sel: sel, sync: sync, past: past}
	files, err := p.list()
	if err != nil {
		return Result{}, err
	}
	if p.Listed != nil {
		p.Listed(len(files))
	}
	looks := make([]look, len(files))
	g, looking := errgroup.WithContext(ctx)
	g.SetLimit(max(p.Concurrency, 1))
	for i, f := range files {
		g.Go(func() (err error) {
			looks[i], err = ps.look(looking, f)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return Result{}, err
	}
	return ps.result(ctx, looks)
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

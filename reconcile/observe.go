package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/source"
)

// draft is a job file as first read: parsed without the live submission's
// variables, which are known only once the job's ID is.
type draft struct {
	source *Source
	doc    source.Document
	spec   *jobspec.File // nil where the file does not parse
	diags  hcl.Diagnostics
	id     job.ID

	unnamed bool // the file does not say which job it means; id is the file's name
}

func (p *Planner) observe(ctx context.Context, sel Selection) ([]Observation, Result, error) {
	result := Result{Sources: map[string]*hcl.File{}}
	drafts, err := p.readSources()
	if err != nil {
		return nil, result, err
	}
	observations, err := p.observations(drafts, sel)
	if err != nil {
		return nil, result, err
	}
	if err := p.remember(observations); err != nil {
		return nil, result, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(p.Concurrency, 1))
	for i := range observations {
		g.Go(func() error { return p.complete(ctx, &observations[i], drafts) })
	}
	return observations, result, g.Wait()
}

func (p *Planner) readSources() ([]draft, error) {
	var drafts []draft
	for i := range p.Sources {
		src := &p.Sources[i]
		paths, err := src.List()
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			d, isJob, err := p.readDraft(src, path)
			if err != nil {
				return nil, err
			}
			if isJob {
				drafts = append(drafts, d)
			}
		}
	}
	return drafts, nil
}

func (p *Planner) readDraft(src *Source, path string) (draft, bool, error) {
	doc, err := src.Read(path)
	if err != nil {
		return unreadDraft(src, doc, err), true, nil
	}
	if !jobspec.IsJob(doc.Bytes) {
		return draft{}, false, nil
	}
	d := draft{source: src, doc: doc}
	d.spec, d.diags = jobspec.Parse(doc.Name, doc.Bytes, p.inputs(src, doc, nil))
	if d.diags.HasErrors() {
		d.spec = nil
	}
	d.id, d.unnamed = d.identity(), d.spec == nil && jobspec.Name(doc.Bytes) == ""
	return d, true, nil
}

// unreadDraft: nobody knows which job the file means, so it stands for itself.
func unreadDraft(src *Source, doc source.Document, err error) draft {
	return draft{
		source: src, doc: doc, unnamed: true,
		id:    job.ID{Namespace: cmp.Or(src.Namespace, job.DefaultNamespace), Name: doc.Name},
		diags: hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Job file cannot be read", Detail: err.Error() + "."}},
	}
}

func (p *Planner) inputs(src *Source, doc source.Document, live *api.JobSubmission) jobspec.Inputs {
	return jobspec.Inputs{
		Vars: src.Vars, VarFiles: src.VarFiles, Env: p.Env, Live: live,
		FS: jobspec.FS{Dirs: []string{filepath.Dir(doc.Path), src.Path}, Root: src.Path},
	}
}

// identity: a file that does not parse may still say which job it means.
func (d draft) identity() job.ID {
	id := job.ID{Namespace: d.source.Namespace, Name: cmp.Or(jobspec.Name(d.doc.Bytes), d.doc.Name)}
	if d.spec != nil {
		id = job.IDOf(d.spec.Job)
		if d.spec.Job.Namespace == nil && d.source.Namespace != "" {
			id.Namespace = d.source.Namespace
		}
	}
	if id.Namespace == "" {
		id.Namespace = job.DefaultNamespace
	}
	return id
}

// observations makes one for each selected job: those that files declare, and
// those that we registered and whose file is gone.
func (p *Planner) observations(drafts []draft, sel Selection) ([]Observation, error) {
	complete := !slices.ContainsFunc(drafts, func(d draft) bool { return d.spec == nil })
	byID := map[job.ID][]draft{}
	for _, d := range drafts {
		byID[d.id] = append(byID[d.id], d)
	}
	var out []Observation
	for id, same := range byID {
		if !slices.ContainsFunc(same, sel.holds) {
			continue
		}
		o := Observation{ID: id, Complete: complete, File: fileOf(same[0]), unnamed: same[0].unnamed}
		o.Held = p.heldWhileReading(id, same)
		out = append(out, o)
	}
	orphans, err := p.orphans(byID, sel, complete)
	if err != nil {
		return nil, err
	}
	out = append(out, orphans...)
	slices.SortFunc(out, func(a, b Observation) int { return a.ID.Compare(b.ID) })
	return out, nil
}

func fileOf(d draft) *File {
	f := &File{Root: d.source.Path, Doc: d.doc, Spec: d.spec, Diagnostics: d.diags, After: d.doc.Bytes}
	f.Sources = map[string]*hcl.File{d.doc.Name: {Bytes: d.doc.Bytes}}
	return f
}

func (p *Planner) heldWhileReading(id job.ID, same []draft) *Hold {
	if len(same) > 1 {
		names := make([]string, len(same))
		for i, d := range same {
			names[i] = d.doc.Name
		}
		slices.Sort(names)
		return &Hold{
			Reason: "two files, one job: " + strings.Join(names, ", "),
			Next:   "keep one of them, or `exclude` the others in the source block",
		}
	}
	if d := same[0]; d.spec == nil {
		return unreadable(d)
	}
	if p.Nomad != nil && !slices.Contains(p.Namespaces, "*") && !slices.Contains(p.Namespaces, id.Namespace) {
		return &Hold{
			Reason: fmt.Sprintf("namespace %q is not ours", id.Namespace),
			Next:   fmt.Sprintf("add it to nomad { namespaces = [...] }: %q", id.Namespace),
		}
	}
	return nil
}

func unreadable(d draft) *Hold {
	diag := d.diags[slices.IndexFunc(d.diags, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError })]
	if diag.Subject != nil {
		return &Hold{
			Reason: fmt.Sprintf("%s:%d:%d: %s", d.doc.Name, diag.Subject.Start.Line, diag.Subject.Start.Column, diag.Summary),
			Next:   "mend the file; until then nothing is known of the job, so nothing is done",
		}
	}
	return &Hold{Reason: diag.Summary, Next: "make the file readable; until then nothing is known of its job, so nothing is done"}
}

// orphans are jobs that we have registered from files that are gone now.
func (p *Planner) orphans(files map[job.ID][]draft, sel Selection, complete bool) ([]Observation, error) {
	if p.History == nil || p.Nomad == nil {
		return nil, nil
	}
	runs, err := p.History.Runs(nil)
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	seen := map[job.ID]bool{}
	var out []Observation
	for _, r := range runs {
		if seen[r.Job] || files[r.Job] != nil || r.VersionAfter == 0 && !slices.Contains(r.Actions, string(Register)) {
			continue
		}
		seen[r.Job] = true
		if sel.all() || sel.named(r.Job) {
			out = append(out, Observation{ID: r.Job, Ours: true, Complete: complete, Grace: p.Gone[r.Job] > 1})
		}
	}
	return out, nil
}

// complete reads what depends on the job's ID: the live job, the history, and
// the file once more where the live submission gives variables.
func (p *Planner) complete(ctx context.Context, o *Observation, drafts []draft) error {
	if p.Nomad != nil && !o.unnamed {
		live, err := ReadLive(ctx, p.Nomad, o.ID)
		if err != nil {
			return err
		}
		o.Live = live
	}
	p.reparse(o, drafts)
	o.Basis = p.basis(*o)
	return p.recall(o)
}

// reparse: a variable's value in the live submission goes before its default.
func (p *Planner) reparse(o *Observation, drafts []draft) {
	if o.File == nil || o.Live == nil || o.Live.Submission == nil {
		return
	}
	same := slices.DeleteFunc(slices.Clone(drafts), func(d draft) bool { return d.id != o.ID })
	i := slices.IndexFunc(same, func(d draft) bool { return d.doc.Path == o.File.Doc.Path })
	d := &same[i]
	spec, diags := jobspec.Parse(d.doc.Name, d.doc.Bytes, p.inputs(d.source, d.doc, o.Live.Submission))
	if diags.HasErrors() {
		return
	}
	d.spec, d.diags = spec, diags
	o.File.Spec, o.File.Diagnostics = spec, diags
	o.Held = p.heldWhileReading(o.ID, same) // the live submission may have given what was missing
}

// remember marks the jobs that have an open run; the history is read once.
func (p *Planner) remember(observations []Observation) error {
	if p.History == nil {
		return nil
	}
	open, err := p.History.Unfinished()
	if err != nil {
		return fmt.Errorf("reading the history: %w", err)
	}
	for i := range observations {
		for _, r := range open {
			if r.Job == observations[i].ID {
				observations[i].Open = new(r)
			}
		}
	}
	return nil
}

func (p *Planner) recall(o *Observation) error {
	if p.History == nil {
		return nil
	}
	basis, run, failed := p.History.FailedBasis(o.ID)
	if failed && basis.SameRevision(o.Basis) {
		o.Failed = &run
	}
	if run.NewFile != "" {
		basis.File = run.NewFile
	}
	if failed && run.Result == history.Failed && basis.SameRevision(o.Basis) {
		o.Broken = &run
	}
	return nil
}

// basis is what the plan rests on.
func (p *Planner) basis(o Observation) history.Basis {
	b := history.Basis{}
	if p.Policies != nil {
		b.Policies = p.Policies.Revision()
	}
	if o.File != nil {
		b.File = history.Hash(o.File.Doc.Bytes)
		if o.File.Spec != nil {
			b.Vars = varsHash(o.File.Spec)
		}
	}
	if o.Live != nil && o.Live.Job.JobModifyIndex != nil {
		b.JobModifyIndex = *o.Live.Job.JobModifyIndex
	}
	return b
}

func varsHash(f *jobspec.File) string {
	var b strings.Builder
	for _, v := range f.Variables { // in the order of their names
		fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Value.GoString())
	}
	return history.Hash([]byte(b.String()))
}

func variables(f *jobspec.File) []Variable {
	out := make([]Variable, len(f.Variables))
	for i, v := range f.Variables {
		out[i] = Variable{Name: v.Name, Origin: v.Origin, Value: v.Value}
	}
	return out
}

// ReadLive reads one registered job with what is needed to judge its health;
// nil where Nomad does not know it.
func ReadLive(ctx context.Context, n Nomad, id job.ID) (*Live, error) {
	j, err := n.Job(ctx, id)
	if errors.Is(err, nomad.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	live := &Live{Job: j}
	if live.Submission, err = n.Submission(ctx, id, *j.Version); err != nil {
		return nil, err
	}
	if live.Allocations, _, err = n.Allocations(ctx, id, 0); err != nil {
		return nil, err
	}
	live.State = stateOf(j, live.Allocations)
	if live.State.Why == "" {
		return live, nil
	}
	live.State.Failure, err = n.LastFailure(ctx, live.Allocations)
	return live, err
}

package reconcile

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/source"
)

// pass is one look at everything. Each file goes through all of it by itself, so
// that its syntax tree and its job are dropped before the next is read; what is
// kept of it is its look.
type pass struct {
	*Planner
	sel    Selection
	sync   Sync
	past   memory
	seen   matches
	listed func(job.ID) *api.JobListStub // what a list has just said of a job, or nil; may be nil
	each   bool                          // the history is read job by job
}

// look is what a pass keeps of one file.
type look struct {
	id      job.ID
	name    string // the file's, as users see it
	plan    *Plan  // nil where the job is not selected, or the file holds none
	unread  bool   // not all is known of the file
	unnamed bool   // ... not even which job it means
	diags   hcl.Diagnostics
	sources []jobspec.VarFile // what diags and the plan's warnings point into
	skipped *Skipped          // the file holds no job; the rest is empty
}

// templateMarks are in the names that unrendered templates have for jobs.
const templateMarks = "[{<$%"

type sourceFile struct {
	source *Source
	path   string
	note   func(path string) // is told what the file depends on; may be nil
}

func (p *Planner) list() ([]sourceFile, error) {
	var out []sourceFile
	for i := range p.Sources {
		paths, err := p.Sources[i].List()
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			out = append(out, sourceFile{source: &p.Sources[i], path: path})
		}
	}
	return out, nil
}

// look takes one file from its bytes to its plan.
func (ps *pass) look(ctx context.Context, f sourceFile) (look, error) {
	d, isJob := ps.readDraft(f.source, f.path, f.note)
	if !isJob {
		return look{skipped: ps.skip(d.doc)}, nil
	}
	l := look{id: d.id, name: d.doc.Name, unread: d.spec == nil, unnamed: d.unnamed || d.spec == nil && strings.ContainsAny(d.id.Name, templateMarks)}
	if !ps.sel.holds(d) {
		return l, nil
	}
	o, err := ps.observe(ctx, d)
	if err != nil {
		return l, err
	}
	plan, err := ps.decide(ctx, &o)
	if err == nil && plan.Does() && d.mayInherit(o.Live) { // now it matters
		if o, err = ps.inherit(ctx, d, o); err == nil {
			plan, err = ps.decide(ctx, &o)
		}
	}
	if err != nil {
		return l, err
	}
	l.plan, l.unread = &plan, o.File.Spec == nil
	if l.diags = o.File.Diagnostics; len(l.diags)+len(plan.Warnings) > 0 {
		l.sources = append(f.source.varFiles(f.path), jobspec.VarFile{Name: d.doc.Name, Bytes: d.doc.Bytes})
	}
	return l, nil
}

// skip says what a file without a job is, where somebody asks for it.
func (ps *pass) skip(doc source.Document) *Skipped {
	if !ps.sel.all() && !slices.Contains(ps.sel.Files, doc.Path) {
		return nil
	}
	f := jobspec.Recognize(doc.Name, doc.Bytes)
	return &Skipped{File: doc.Name, Path: doc.Path, Kind: f.Kind, Reason: f.String(), Next: f.Next}
}

func (ps *pass) decide(ctx context.Context, o *Observation) (Plan, error) {
	asked := ps.now()
	if ps.each {
		if err := ps.recollectJob(&ps.past, o.ID); err != nil {
			return Plan{}, err
		}
	}
	ps.past.recall(o)
	ps.desire(o)
	ps.seen.saw(o)
	if err := ps.preview(ctx, o); err != nil {
		return Plan{}, err
	}
	plan := Decide(*o, forJob(ps.sync, ps.sel, *o))
	if again, err := ps.askHealth(ctx, o, plan); err != nil {
		return Plan{}, err
	} else if again {
		plan = Decide(*o, forJob(ps.sync, ps.sel, *o))
	}
	plan.change.at = asked
	if ps.ReadOnly || !plan.Does() && !ps.Whole {
		plan.change = nil
	}
	if ps.ReadOnly && ps.Nomad == nil { // a check, which shows none
		plan.Variables = nil
	}
	return plan, nil
}

// result joins the looks: two files may mean one job, and a job's file may be
// gone.
func (ps *pass) result(ctx context.Context, looks []look) (Result, error) {
	r := Result{Plans: make([]Plan, 0, len(looks)), Sources: map[string]*hcl.File{}, Proven: ps.past.proven}
	for _, l := range looks {
		if l.skipped != nil {
			r.Skipped = append(r.Skipped, *l.skipped)
		}
	}
	looks = slices.DeleteFunc(looks, func(l look) bool { return l.name == "" })
	byID := map[job.ID][]look{}
	for _, l := range looks {
		byID[l.id] = append(byID[l.id], l)
	}
	for _, same := range byID {
		if slices.ContainsFunc(same, func(l look) bool { return l.plan != nil }) {
			r.Plans = append(r.Plans, planOf(same))
		}
	}
	alone, err := ps.withoutFile(ctx, byID, !slices.ContainsFunc(looks, func(l look) bool { return l.unnamed }))
	if err != nil {
		return Result{}, err
	}
	for _, p := range alone {
		byID[p.ID] = []look{}
	}
	r.Plans = append(r.Plans, alone...)
	orphans, err := ps.orphans(ctx, byID, !slices.ContainsFunc(looks, func(l look) bool { return l.unread }))
	if err != nil {
		return Result{}, err
	}
	r.Plans = append(r.Plans, orphans...)
	slices.SortFunc(r.Plans, func(a, b Plan) int { return a.ID.Compare(b.ID) })
	r.explain(byID)
	if ps.sel.all() && !r.Diagnostics.HasErrors() {
		r.Unmatched = ps.seen.without(ps.Policies)
	}
	return r, nil
}

// planOf is the plan of the files that mean one job: of two, a hold.
func planOf(same []look) Plan {
	i := slices.IndexFunc(same, func(l look) bool { return l.plan != nil })
	if len(same) == 1 {
		return *same[i].plan
	}
	names := make([]string, len(same))
	for i, l := range same {
		names[i] = l.name
	}
	slices.Sort(names)
	o := Observation{ID: same[i].id, File: &File{Doc: source.Document{Name: names[0]}}, Held: &Hold{
		Reason: "two files, one job: " + strings.Join(names, ", "),
		Next:   "keep one of them, or `exclude` the others in the source block",
	}}
	if live := same[i].plan.Live; live != nil {
		o.Live = &Live{State: *live}
	}
	return Decide(o, Sync{})
}

// explain collects what there is to say about files, in the order of the plans.
func (r *Result) explain(byID map[job.ID][]look) {
	for i, p := range r.Plans {
		for _, l := range byID[p.ID] {
			r.Diagnostics = append(r.Diagnostics, l.diags...)
			for _, f := range l.sources {
				r.Sources[f.Name] = &hcl.File{Bytes: f.Bytes}
			}
		}
		if len(p.Warnings) > 0 {
			r.Plans[i].Sources = r.Sources
		}
	}
}

// orphans are plans for jobs that we have registered from files that are gone now.
func (ps *pass) orphans(ctx context.Context, files map[job.ID][]look, whole bool) ([]Plan, error) {
	if ps.Nomad == nil {
		return nil, nil
	}
	seen := map[job.ID]bool{}
	var out []Plan
	for _, r := range ps.past.runs {
		if seen[r.Job] || files[r.Job] != nil || !ps.sel.all() && !ps.sel.named(r.Job) {
			continue
		}
		seen[r.Job] = true
		if !ps.ours(r.Job) || !registeredFromFile(ps.past.byJob[r.Job]) {
			continue
		}
		plan, err := ps.orphan(ctx, Observation{ID: r.Job, Ours: true, Complete: whole, Grace: ps.Gone[r.Job] > 1})
		if err != nil {
			return nil, err
		}
		if plan != nil {
			out = append(out, *plan)
		}
	}
	return out, nil
}

// registeredFromFile: the newest of a job's runs that has registered it did so from a
// file. What never had one, or has done without, is no orphan.
func registeredFromFile(runs []history.Run) bool {
	i := slices.IndexFunc(runs, func(r history.Run) bool {
		return r.VersionAfter != 0 || slices.Contains(r.Actions, string(Register))
	})
	return i >= 0 && runs[i].Source == ""
}

// orphan is nil where Nomad does not know the job any more, as after its garbage
// collection: it is nowhere then but in our history.
func (ps *pass) orphan(ctx context.Context, o Observation) (*Plan, error) {
	if err := ps.observeLive(ctx, &o); err != nil {
		return nil, err
	}
	if o.Live == nil && o.Complete {
		return nil, nil
	}
	o.Basis = ps.basis(o)
	plan, err := ps.decide(ctx, &o)
	return &plan, err
}

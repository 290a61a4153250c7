package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile/gates"
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
	note   func(path string) // is told what the file depends on

	unnamed bool // the file does not say which job it means; id is the file's name
}

// readDraft reads one file of a source; false where it holds no job, and then the
// draft has its bytes alone. note is told what the file depends on; it may be nil.
func (p *Planner) readDraft(src *Source, path string, note func(path string)) (draft, bool) {
	doc, err := src.Read(path)
	if err != nil {
		return unreadDraft(src, doc, err), true
	}
	d := draft{source: src, doc: doc, note: note}
	if d.parse(p.inputs(d, nil)); d.spec == nil && !jobspec.IsJob(doc.Bytes) {
		return d, false
	}
	d.identify()
	return d, true
}

func (d *draft) parse(in jobspec.Inputs) {
	d.spec, d.diags = jobspec.Parse(d.doc.Name, d.doc.Bytes, in)
}

// unreadDraft: nobody knows which job the file means, so it stands for itself.
func unreadDraft(src *Source, doc source.Document, err error) draft {
	return draft{
		source: src, doc: doc, unnamed: true,
		id:    job.ID{Namespace: cmp.Or(src.Namespace, job.DefaultNamespace), Name: doc.Name},
		diags: hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Job file cannot be read", Detail: err.Error() + "."}},
	}
}

func (p *Planner) inputs(d draft, live *api.JobSubmission) jobspec.Inputs {
	fs := d.source.files(d.doc.Path)
	fs.Note = d.note
	return jobspec.Inputs{
		Vars: d.source.Vars, VarFiles: d.source.varFiles(d.doc.Path), Env: p.Env, Live: live,
		FS: fs, Lenient: true,
	}
}

// identify: a file that does not parse may still say which job it means.
func (d *draft) identify() {
	if d.spec == nil {
		name := jobspec.Name(d.doc.Bytes)
		d.id, d.unnamed = job.ID{Namespace: d.source.Namespace, Name: cmp.Or(name, d.doc.Name)}, name == ""
	} else if d.id = job.IDOf(d.spec.Job); d.spec.Job.Namespace == nil && d.source.Namespace != "" {
		d.id.Namespace = d.source.Namespace
	}
	d.id.Namespace = cmp.Or(d.id.Namespace, job.DefaultNamespace)
}

func fileOf(d draft) *File {
	return &File{Root: d.source.Path, Doc: d.doc, Spec: d.spec, Diagnostics: d.diags, After: d.doc.Bytes}
}

// heldWhileReading is what one file alone says against going on.
func (p *Planner) heldWhileReading(d draft) *Hold {
	if d.spec == nil {
		return unreadable(d)
	}
	if p.Nomad != nil && !p.ours(d.id) {
		return &Hold{
			Reason: fmt.Sprintf("namespace %q is not ours", d.id.Namespace),
			Next:   fmt.Sprintf("add it to nomad { namespaces = [...] }: %q", d.id.Namespace),
		}
	}
	return nil
}

// ours: its namespace is one of those that the configuration names. What is elsewhere
// is nobody's here, also if we have registered it once.
func (p *Planner) ours(id job.ID) bool {
	return slices.Contains(p.Namespaces, "*") || slices.Contains(p.Namespaces, id.Namespace)
}

func unreadable(d draft) *Hold {
	diag := d.diags[slices.IndexFunc(d.diags, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError })]
	if at := diag.Subject; at != nil {
		return &Hold{
			Reason: fmt.Sprintf("%s:%d:%d: %s", at.Filename, at.Start.Line, at.Start.Column, diag.Summary),
			Next:   "mend the file; until then nothing is known of the job, so nothing is done",
		}
	}
	return &Hold{Reason: diag.Summary, Next: "make the file readable; until then nothing is known of its job, so nothing is done"}
}

// observe reads one file's job: the live job, and where they matter the values of
// variables that its submission keeps.
func (ps *pass) observe(ctx context.Context, d draft) (Observation, error) {
	o := Observation{ID: d.id, unnamed: d.unnamed}
	if err := ps.observeLive(ctx, &o); err != nil {
		return o, err
	}
	if d.mayInherit(o.Live) && (d.spec == nil || !alike(o.Live.Job, startable(inNamespace(d.spec.Job, d.id), o.Live))) {
		return ps.inherit(ctx, d, o)
	}
	ps.read(d, &o)
	return o, nil
}

// read is what the file says.
func (p *Planner) read(d draft, o *Observation) {
	o.File, o.Held = fileOf(d), p.heldWhileReading(d)
	o.Basis = p.basis(*o)
}

// mayInherit: a value in the live submission goes before a default, and may be the
// only one. Where the file gives the live job without, nobody needs to ask for it
// before something is done.
func (d *draft) mayInherit(live *Live) bool {
	return live != nil && !live.asked && (d.spec == nil || slices.ContainsFunc(d.spec.Variables, func(v jobspec.Variable) bool {
		return v.Origin == jobspec.DefaultOrigin
	}))
}

// inherit reads the file once more, with the variables of the live submission.
func (p *Planner) inherit(ctx context.Context, d draft, o Observation) (Observation, error) {
	sub, err := o.Live.submission(ctx, p.Nomad)
	if err != nil {
		return o, err
	}
	if sub != nil {
		again := d
		if again.parse(p.inputs(d, sub)); again.spec != nil {
			d = again
		}
	}
	if p.read(d, &o); o.Held == nil {
		o.Held, err = p.heldForSpoilt(ctx, d.spec, o.Live)
	}
	return o, err
}

func (ps *pass) observeLive(ctx context.Context, o *Observation) error {
	if ps.Nomad == nil || o.unnamed {
		return nil
	}
	live, err := readJob(ctx, ps.Nomad, o.ID)
	if live == nil || err != nil {
		return err
	}
	o.Live = live
	if ps.listed != nil {
		if state, well := wellByList(live.Job, ps.listed(o.ID)); well {
			live.State, live.rough = state, true
			return nil
		}
	}
	if ps.each && value(live.Job.Stable) && !value(live.Job.Stop) { // asked for when it is known that it matters
		live.State, live.rough, live.unasked = provenState(live.Job), true, true
		return nil
	}
	return live.readHealth(ctx, ps.Nomad, ps.now())
}

// askHealth is for a job whose version has proved itself: what its allocations do now
// says nothing of a change that is to be made.
func (ps *pass) askHealth(ctx context.Context, o *Observation, p Plan) (asked bool, err error) {
	if o.Live == nil || !o.Live.unasked || p.Will(Register) {
		return false, nil
	}
	o.Live.unasked = false
	return true, o.Live.readHealth(ctx, ps.Nomad, ps.now())
}

// basis is what the plan rests on.
func (p *Planner) basis(o Observation) history.Basis {
	b := history.Basis{}
	if p.ReadOnly && p.History == nil {
		return b
	}
	if p.Policies != nil {
		b.Policies = p.Policies.Revision()
	}
	if o.File != nil {
		b.File = history.Hash(o.File.Doc.Bytes)
		if o.File.Spec != nil {
			b.Vars = varsHash(o.File.Spec)
		}
	}
	if o.By != nil {
		b.File = liveRevision(o.Live.Job)
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

// ReadLive reads one registered job with its source and what is needed to judge its
// health; nil where Nomad does not know it.
func ReadLive(ctx context.Context, n Nomad, id job.ID) (*Live, error) {
	live, err := readJob(ctx, n, id)
	if live == nil || err != nil {
		return nil, err
	}
	if _, err := live.submission(ctx, n); err != nil {
		return nil, err
	}
	return live, live.readHealth(ctx, n, time.Time{})
}

func readJob(ctx context.Context, n Nomad, id job.ID) (*Live, error) {
	j, err := n.Job(ctx, id)
	if errors.Is(err, nomad.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Live{Job: j}, nil
}

// submission asks once, when somebody needs it: each read makes Nomad decode the
// values of its variables once more.
func (l *Live) submission(ctx context.Context, n Nomad) (_ *api.JobSubmission, err error) {
	if !l.asked {
		l.Submission, err = n.Submission(ctx, job.IDOf(l.Job), *l.Job.Version)
		l.asked = err == nil
	}
	return l.Submission, err
}

// readHealth: without a time of now it is not asked how long a task has been running.
func (l *Live) readHealth(ctx context.Context, n Nomad, now time.Time) (err error) {
	l.rough = false
	if l.Allocations, _, err = n.Allocations(ctx, job.IDOf(l.Job), 0); err != nil {
		return err
	}
	l.State = stateOf(l.Job, l.Allocations)
	l.State.settle(l.Allocations, now)
	if err = awaitCanaries(ctx, n, l); err != nil || l.State.Why == "" {
		return err
	}
	l.State.Failure, err = n.LastFailure(ctx, l.Allocations)
	return err
}

// awaitCanaries asks for the deployment of a job only where it may need a person, or
// may have ended with allocations of an older version: these run and say nothing.
func awaitCanaries(ctx context.Context, n Nomad, live *Live) error {
	j := live.Job
	if value(j.Stable) || live.State.Stopped || !slices.ContainsFunc(j.TaskGroups, hasCanaries) {
		return nil
	}
	list, _, err := n.Deployments(ctx, job.IDOf(j), 0)
	for _, d := range list {
		if d.JobSpecModifyIndex != value(j.JobModifyIndex) {
			continue
		}
		live.State.Waits = gates.Waits(d)
		if d.Status == api.DeploymentStatusFailed && live.State.Why == "" {
			live.State.Why = fmt.Sprintf("deployment %s failed: %s", short(d.ID), strings.TrimSuffix(d.StatusDescription, "."))
		}
		break
	}
	return err
}

func hasCanaries(g *api.TaskGroup) bool { return g.Update != nil && value(g.Update.Canary) > 0 }

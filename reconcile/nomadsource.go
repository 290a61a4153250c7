package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

// NomadSource names registered jobs that are under policy although no job file
// declares them. Its globs are those of policies.
type NomadSource struct {
	Name       string
	Jobs       []string
	Namespaces []string // none for all that are ours
	Exclude    []string // wins over Jobs
}

func (s NomadSource) holds(id job.ID) bool {
	return policies.Glob(s.Jobs, id.Name) && !policies.Glob(s.Exclude, id.Name) &&
		(len(s.Namespaces) == 0 || policies.Glob(s.Namespaces, id.Namespace))
}

// registeredName stands where the name of a job file would.
func registeredName(id job.ID) string { return "nomad:" + id.Namespace + "/" + id.Name }

// withoutFile are the plans of the registered jobs that a NomadSource names and no
// file declares. Nobody knows which job an unnamed file means: with one of these the
// files are not complete.
func (ps *pass) withoutFile(ctx context.Context, files map[job.ID][]look, complete bool) ([]Plan, error) {
	if ps.Nomad == nil || len(ps.Nomads) == 0 || !ps.sel.all() && len(ps.sel.Jobs) == 0 {
		return nil, nil
	}
	ids, err := ps.Registered(ctx, ps.sel)
	if err != nil {
		return nil, err
	}
	plans := make([]*Plan, len(ids))
	g, looking := errgroup.WithContext(ctx)
	g.SetLimit(max(ps.Concurrency, 1))
	for i, id := range ids {
		by := ps.sourceOf(id)
		if by == nil || files[id] != nil {
			continue
		}
		g.Go(func() (err error) {
			plans[i], err = ps.lookAlone(looking, Observation{ID: id, By: by, Complete: complete})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []Plan
	for _, p := range plans {
		if p != nil {
			out = append(out, *p)
		}
	}
	return out, nil
}

// sourceOf is the first source that names the job; nil if none does.
func (p *Planner) sourceOf(id job.ID) *NomadSource {
	for i := range p.Nomads {
		if p.Nomads[i].holds(id) {
			return &p.Nomads[i]
		}
	}
	return nil
}

// lookAlone takes one job from its ID to its plan; nil where it went away after it
// was listed.
func (ps *pass) lookAlone(ctx context.Context, o Observation) (*Plan, error) {
	if err := ps.observeLive(ctx, &o); err != nil || o.Live == nil {
		return nil, err
	}
	o.Basis = ps.basis(o)
	plan, err := ps.decide(ctx, &o)
	return &plan, err
}

// liveRevision is the hash of what a live job says: not of what the server counts, nor
// of what operators and autoscalers turn without changing it.
func liveRevision(live *api.Job) string {
	j := job.Clone(live)
	j.Stop, j.Stable, j.Status, j.StatusDescription, j.VersionTag = nil, nil, nil, nil, nil
	j.Version, j.SubmitTime, j.CreateIndex, j.ModifyIndex, j.JobModifyIndex = nil, nil, nil, nil, nil
	for _, g := range j.TaskGroups {
		if g.Scaling != nil {
			g.Count = nil
		}
	}
	raw, _ := json.Marshal(j) // it was read from JSON
	return history.Hash(raw)
}

// previewAlone is preview for a job without a file: the live job's own source gets the
// fixes, where it has one.
func (p *Planner) previewAlone(ctx context.Context, o *Observation) error {
	l := o.Live
	f, why, err := p.submitted(ctx, l)
	if err != nil {
		return err
	}
	if why != "" || f.JSON() {
		l.Findings = append(l.Findings, sourceMissing(o, why))
	}
	if l.Redundant && !l.State.Stopped {
		return nil
	}
	l.Submitted, err = l.liveSubmission(why == "" && !f.JSON())
	return err
}

// sourceMissing says that the fixes of a job cannot be made in its source, and why.
func sourceMissing(o *Observation, why string) Finding {
	next := fmt.Sprintf("register it from a job file, with `nomad job run FILE`, or `exclude` it from source \"nomad\" %q", o.By.Name)
	if why == "" {
		why = "the source that Nomad keeps of it is JSON, which is never edited"
		next = fmt.Sprintf("`reconcile import %s` brings it to disk; or ", o.ID) + next
	}
	return Finding{Finding: policies.Finding{
		Policy: fmt.Sprintf("source %q", o.By.Name), Rule: "source.missing", Enforce: policies.Warn, Side: policies.LiveSide,
		Message: fmt.Sprintf("%s, so a fix is registered as JSON in its place: %s", why, next),
	}}
}

const formatHCL = "hcl2"

// submitted is the live job's own source, or why Nomad has none: its submission may be
// inherited from another version, and is believed only where it evaluates to the live
// spec.
func (p *Planner) submitted(ctx context.Context, l *Live) (f *jobspec.File, why string, err error) {
	sub, err := l.submission(ctx, p.Nomad)
	if err != nil {
		return nil, "", err
	}
	if sub == nil || sub.Source == "" {
		return nil, "Nomad keeps no source of it", nil
	}
	f, diags := jobspec.ParseSubmission(sub)
	if diags.HasErrors() {
		i := slices.IndexFunc(diags, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError })
		return nil, fmt.Sprintf("the source that Nomad keeps of it (%s) does not parse: %s", l.Submission.Format, diags[i].Summary), nil
	}
	where, err := p.unlike(ctx, l, f)
	if err != nil {
		return nil, "", err
	}
	if where == "" {
		return f, "", nil
	}
	why = "the source that Nomad keeps is not what is running: it differs at " + where
	if decayed(l.Submission) {
		why += " (each time that it is read, Nomad decodes + and % in values given by -var once more)"
	}
	return f, why, nil
}

// decayed: one of the values that were given as flags may be one that Nomad has
// spoilt.
func decayed(sub *api.JobSubmission) bool {
	for _, v := range sub.VariableFlags {
		if spoilt(v) {
			return true
		}
	}
	return false
}

// spoilt: each read makes Nomad decode a flag's value once more.
func spoilt(value string) bool { return value == "" || strings.ContainsAny(value, " %") }

// heldForSpoilt: a job file must not get a value from the live submission that Nomad
// may have spoilt, if it is not the one that the live job has.
func (p *Planner) heldForSpoilt(ctx context.Context, f *jobspec.File, l *Live) (*Hold, error) {
	var names []string
	for _, v := range f.Variables {
		if flag, given := submittedFlag(l.Submission, v.Name); given && v.Origin == jobspec.LiveOrigin && spoilt(flag) {
			names = append(names, v.Name)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	_, why, err := p.submitted(ctx, l)
	if err != nil || why == "" {
		return nil, err
	}
	return &Hold{
		Reason: fmt.Sprintf("the values that Nomad keeps of %s may not be those of the live job: %s", strings.Join(names, ", "), why),
		Next:   "give them in a variable file that job_vars or var_files of the source names",
	}, nil
}

func submittedFlag(sub *api.JobSubmission, name string) (string, bool) {
	if sub == nil {
		return "", false
	}
	value, ok := sub.VariableFlags[name]
	return value, ok
}

// unlike is a place where the job file evaluates to something else than the live job;
// empty if there is none. What differs locally may be what Nomad has added: its
// dry-run has the last word.
func (p *Planner) unlike(ctx context.Context, l *Live, f *jobspec.File) (string, error) {
	id := job.IDOf(l.Job)
	j, _, err := keepIgnored(keepScaledCounts(inNamespace(f.Job, id), l.Job), l.Job, l.Verdict.Rollout.Ignore)
	if err != nil {
		return "", err
	}
	j = startable(j, l)
	if job.IDOf(j) != id {
		return "the job's ID and namespace, which are " + job.IDOf(j).String(), nil
	}
	a, b := job.Clone(l.Job), job.Clone(j)
	a.Canonicalize()
	b.Canonicalize()
	if len(job.Diff(a, b, nil)) == 0 {
		return "", nil
	}
	diff, err := dryRun(ctx, p.Nomad, j)
	switch {
	case refused(ctx, err):
		return fmt.Sprintf("what Nomad refuses now: %v", err), nil
	case err != nil:
		return "", err
	case isNone(diff):
		return "", nil
	}
	if ds := differences(l.Job, j, diff, nil); len(ds) > 0 {
		return ds[0].Path.String(), nil
	}
	return "a field that job files do not show", nil
}

// Names reports whether a source "nomad" names the job.
func (p *Planner) Names(id job.ID) bool { return p.sourceOf(id) != nil }

package reconcile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

// desire holds policies against both documents of a job and works out what each
// would be with its own fixes. CPU alone: no request, no file.
func (p *Planner) desire(o *Observation) {
	var live *api.Job
	if o.Live != nil {
		live = o.Live.Job
		p.desireLive(o)
	}
	if o.File == nil || o.File.Spec == nil || o.Held != nil {
		return
	}
	f := o.File
	o.Held = f.Check(p.Policies, o.ID, live)
	if f.Written = f.Desired; f.Desired == nil || live == nil {
		return
	}
	f.Desired = keepScaledCounts(f.Desired, live)
	if o.Held != nil || o.Live.Fixed == nil {
		return
	}
	desired, kept, err := keepIgnored(f.Desired, o.Live.Fixed, f.Verdict.Rollout.Ignore)
	if err != nil {
		o.Held = &Hold{Reason: err.Error(), Next: "take that place out of `ignore` in the rollout"}
		return
	}
	f.Desired, f.Ignored = desired, kept
}

// Check holds a file that parses against the policies: what they find and where,
// and the file's bytes with every fix. A hold says why there are no such bytes.
func (f *File) Check(set *policies.Set, id job.ID, live *api.Job) *Hold {
	verdict, diags := set.Check(policies.FileSide, inNamespace(f.Spec.Job, id), live)
	f.Verdict, f.Diagnostics = verdict, append(f.Diagnostics, diags...)
	f.Findings = located(f, verdict.Findings)
	if diags.HasErrors() {
		return policyError(diags)
	}
	return f.edit(id)
}

// edit works out the desired job and splices the file.
func (f *File) edit(id job.ID) *Hold {
	if len(f.Verdict.Edits) == 0 {
		f.Desired = inNamespace(f.Spec.Job, id)
		return nil
	}
	desired, err := job.Apply(f.Spec.Job, f.Verdict.Edits)
	if err != nil {
		return &Hold{Reason: fmt.Sprintf("%s: the fix does not fit: %v", f.Doc.Name, err), Next: "mend the file by hand"}
	}
	after, diags := f.Spec.Edit(f.Verdict.Edits, desired)
	if diags.HasErrors() {
		f.Diagnostics = append(f.Diagnostics, asWarnings(diags)...)
		return cannotEdit(f, diags)
	}
	f.After, f.Desired = after, inNamespace(desired, id)
	return nil
}

// asWarnings: an edit that cannot be made is a hold, which says so itself; its
// diagnostics explain it.
func asWarnings(diags hcl.Diagnostics) hcl.Diagnostics {
	out := make(hcl.Diagnostics, len(diags))
	for i, d := range diags {
		w := *d
		w.Severity = hcl.DiagWarning
		out[i] = &w
	}
	return out
}

func cannotEdit(f *File, diags hcl.Diagnostics) *Hold {
	d := diags[0]
	where := f.Doc.Name
	next := "mend it by hand"
	if d.Subject != nil {
		where = fmt.Sprintf("%s:%d:%d", f.Doc.Name, d.Subject.Start.Line, d.Subject.Start.Column)
		next = fmt.Sprintf("mend line %d by hand", d.Subject.Start.Line)
	}
	return &Hold{Reason: fmt.Sprintf("%s: %s: %s", where, d.Summary, oneLine(d.Detail)), Next: next}
}

func policyError(diags hcl.Diagnostics) *Hold {
	d := diags[slices.IndexFunc(diags, func(d *hcl.Diagnostic) bool { return d.Severity == hcl.DiagError })]
	reason := d.Summary
	if d.Subject != nil {
		reason = fmt.Sprintf("%s:%d:%d: %s", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column, d.Summary)
	}
	return &Hold{Reason: reason + ": " + oneLine(d.Detail), Next: "mend the policy: a rule that cannot be evaluated is never a pass"}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// located gives each finding the place of what its edit would change.
func located(f *File, findings []policies.Finding) []Finding {
	out := make([]Finding, len(findings))
	for i, finding := range findings {
		rng := f.Spec.Range(finding.Path)
		if len(finding.Edits) == 1 && finding.Edits[0].Path.Equal(finding.Path) {
			rng = f.Spec.RangeOf(finding.Edits[0])
		}
		out[i] = Finding{Finding: finding, File: f.Doc.Name, Range: rng, Source: line(f.Doc.Bytes, rng.Start.Line)}
	}
	return out
}

// longestLine is how long a source line is shown with a finding: minified JSON is one
// line, which says nothing to a reader.
const longestLine = 2000

func line(src []byte, n int) string {
	lines := bytes.Split(src, []byte("\n"))
	if n < 1 || n > len(lines) {
		return ""
	}
	if len(lines[n-1]) > longestLine {
		return ""
	}
	return strings.TrimSuffix(string(bytes.TrimPrefix(lines[n-1], []byte("\ufeff"))), "\r")
}

// desireLive does the same for the document that Nomad holds; the splice of its
// submission waits for preview, which knows whether to believe it.
func (p *Planner) desireLive(o *Observation) {
	l := o.Live
	verdict, diags := p.Policies.Check(policies.LiveSide, l.Job, l.Job)
	l.Verdict, l.Findings = verdict, nil
	for _, f := range verdict.Findings {
		l.Findings = append(l.Findings, Finding{Finding: f})
	}
	if diags.HasErrors() {
		o.Held = policyError(diags)
		return
	}
	fixed, err := job.Apply(l.Job, verdict.Edits)
	if err != nil {
		o.Held = &Hold{Reason: fmt.Sprintf("the live job: the fix does not fit: %v", err), Next: "mend the job by hand"}
		return
	}
	l.Fixed = fixed
	l.Redundant = len(verdict.Edits) == 0
}

// inNamespace is j as it would be registered: under the namespace that its
// source gives where the file says none.
func inNamespace(j *api.Job, id job.ID) *api.Job {
	out := *j
	if out.Namespace == nil {
		out.Namespace = new(id.Namespace)
	}
	return &out
}

// keepScaledCounts: the count inside a scaling block is the autoscaler's.
func keepScaledCounts(desired, live *api.Job) *api.Job {
	scaled := func(g *api.TaskGroup) bool { return g.Scaling != nil && value(g.Name) != "" }
	if live == nil || !slices.ContainsFunc(desired.TaskGroups, scaled) {
		return desired
	}
	out := job.Clone(desired)
	for _, g := range out.TaskGroups {
		for _, now := range live.TaskGroups {
			if scaled(g) && value(now.Name) == *g.Name && now.Count != nil {
				g.Count = new(*now.Count)
			}
		}
	}
	return out
}

// liveSubmission is Fixed's submission: the live one's source with the same
// edits, or where that does not evaluate to it, the spec itself.
func (l *Live) liveSubmission(believed bool) (*api.JobSubmission, error) {
	if believed {
		if sub := l.spliced(); sub != nil {
			return sub, nil
		}
	}
	spec, err := json.Marshal(l.Fixed)
	if err != nil {
		return nil, fmt.Errorf("encoding the live job: %w", err)
	}
	return &api.JobSubmission{Source: string(spec), Format: "json"}, nil
}

func (l *Live) spliced() *api.JobSubmission {
	f, diags := jobspec.ParseSubmission(l.Submission)
	if diags.HasErrors() {
		return nil
	}
	desired, err := job.Apply(f.Job, l.Verdict.Edits)
	if err != nil {
		return nil
	}
	src, diags := f.Edit(l.Verdict.Edits, desired)
	if diags.HasErrors() {
		return nil
	}
	sub := *l.Submission
	sub.Source = string(src)
	return &sub
}

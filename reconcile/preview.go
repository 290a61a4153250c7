package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// preview finds out what a register would change. What a local comparison finds alike
// is equal; of all else Nomad's dry-runs, not a diff of our own, say whether and how
// file and live job differ.
func (p *Planner) preview(ctx context.Context, o *Observation) error {
	if p.Nomad == nil || o.Live == nil || o.Held != nil {
		return nil
	}
	l := o.Live
	l.Redundant = l.Redundant || alike(l.Job, l.Fixed)
	if o.File == nil || o.File.Desired == nil {
		fixes, err := p.previewFixed(ctx, o)
		if err != nil || o.Held != nil {
			return err
		}
		if l.Diff = findingsOnly(l, fixes); o.By == nil {
			return nil
		}
		return p.previewAlone(ctx, o)
	}
	desired := startable(o.File.Desired, l)
	if l.Redundant && alike(l.Job, desired) {
		return nil
	}
	return p.previewBoth(ctx, o, desired)
}

// previewBoth: where the live job with its fixes is what is desired, one dry-run
// speaks for both.
func (p *Planner) previewBoth(ctx context.Context, o *Observation, desired *api.Job) error {
	l, one := o.Live, !o.Live.Redundant && alike(o.Live.Fixed, desired)
	var fixes *api.JobDiff
	if !one {
		var err error
		if fixes, err = p.previewFixed(ctx, o); err != nil || o.Held != nil {
			return err
		}
	}
	diff, updates, err := dryRunAnnotated(ctx, p.Nomad, desired)
	if refused(ctx, err) {
		o.Held = &Hold{Reason: fmt.Sprintf("Nomad refuses the job of %s: %v", o.File.Doc.Name, err), Next: "mend the file, or the policy that edits it"}
		return nil
	}
	if err != nil {
		return err
	}
	if one {
		fixes, l.FixedUpdates, l.Redundant = diff, updates, isNone(diff)
	}
	l.admitted = append(l.admitted, desired)
	l.Updates = updates
	l.Differs = !isNone(diff)
	l.OnlyFixes = fixes != nil && sameDiff(diff, fixes)
	l.Diff = changes(l, o.File.Desired, fixes, diff)
	if l.Redundant || l.OnlyFixes {
		return nil
	}
	believed, err := p.believed(ctx, l)
	if err != nil {
		return err
	}
	l.Submitted, err = l.liveSubmission(believed)
	return err
}

// previewFixed asks what the fixes of the live job alone would change; nil where
// there are none.
func (p *Planner) previewFixed(ctx context.Context, o *Observation) (*api.JobDiff, error) {
	l := o.Live
	if l.Redundant {
		return nil, nil
	}
	diff, updates, err := dryRunAnnotated(ctx, p.Nomad, l.Fixed)
	if refused(ctx, err) {
		o.Held = &Hold{Reason: fmt.Sprintf("Nomad refuses the live job with its fixes: %v", err), Next: "register it from a job file that Nomad accepts, or mend the policy"}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l.admitted = append(l.admitted, l.Fixed)
	l.FixedUpdates, l.Redundant = updates, isNone(diff)
	return diff, nil
}

// startable: a job that an operator stopped is compared as it stands; that it
// is stopped is no difference of its own.
func startable(desired *api.Job, l *Live) *api.Job {
	if !l.State.Stopped {
		return desired
	}
	out := job.Clone(desired)
	out.Stop = new(true)
	return out
}

// believed: Nomad's submission may be inherited from another version; it is the
// live job's source only if it evaluates to the live spec.
func (p *Planner) believed(ctx context.Context, l *Live) (bool, error) {
	if sub, err := l.submission(ctx, p.Nomad); err != nil || sub == nil || sub.Format != formatHCL {
		return false, err // no edit can be spliced into it, so nobody needs to know
	}
	_, why, err := p.submitted(ctx, l)
	return why == "", err
}

// refused: Nomad has answered, and what it says is about the job.
func refused(ctx context.Context, err error) bool {
	return err != nil && ctx.Err() == nil && !errors.Is(err, nomad.ErrUnreachable) && !errors.Is(err, nomad.ErrForbidden)
}

func dryRun(ctx context.Context, n Nomad, j *api.Job) (*api.JobDiff, error) {
	diff, _, err := dryRunAnnotated(ctx, n, j)
	return diff, err
}

func dryRunAnnotated(ctx context.Context, n Nomad, j *api.Job) (*api.JobDiff, []string, error) {
	resp, err := n.Plan(ctx, j)
	if err != nil {
		return nil, nil, err
	}
	return resp.Diff, updatesOf(resp.Annotations), nil
}

// updatesOf is what the scheduler would do to the allocations of each group now.
func updatesOf(a *api.PlanAnnotations) []string {
	if a == nil {
		return nil
	}
	var out []string
	for _, group := range slices.Sorted(maps.Keys(a.DesiredTGUpdates)) {
		u := a.DesiredTGUpdates[group]
		var parts []string
		for _, part := range []struct {
			n    uint64
			what string
		}{
			{u.Place, "to start"}, {u.Stop, "to stop"}, {u.Migrate, "to move"}, {u.Canary, "to start as canaries"},
			{u.InPlaceUpdate, "to update in place"}, {u.DestructiveUpdate, "to replace"}, {u.Preemptions, "of others to preempt"},
		} {
			if part.n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
			}
		}
		if len(parts) > 0 {
			out = append(out, fmt.Sprintf("group %q: %s", group, strings.Join(parts, ", ")))
		}
	}
	return out
}

// findingsOnly is the live diff of a job without a file.
func findingsOnly(l *Live, fixes *api.JobDiff) []Change {
	if fixes == nil {
		return nil
	}
	return marked(differences(l.Job, l.Fixed, fixes, nil), true)
}

// changes: first what the fixes change, then what still differs between the
// live job with its fixes and the desired job: drift.
func changes(l *Live, desired *api.Job, fixes, all *api.JobDiff) []Change {
	if fixes == nil || isNone(fixes) {
		return marked(differences(l.Job, desired, all, nil), false)
	}
	out := marked(differences(l.Job, l.Fixed, fixes, nil), true)
	if sameDiff(fixes, all) {
		return out
	}
	for _, d := range differences(l.Fixed, desired, all, fixes) {
		if !slices.ContainsFunc(out, func(c Change) bool { return c.Path.Equal(d.Path) && c.After.RawEquals(d.After) }) {
			out = append(out, Change{Difference: d})
		}
	}
	return out
}

func marked(ds []job.Difference, finding bool) []Change {
	out := make([]Change, len(ds))
	for i, d := range ds {
		out[i] = Change{Difference: d, Finding: finding}
	}
	return out
}

// isNone: the Type alone proves nothing; Nomad marks a diff "Edited" whose every
// part is empty.
func isNone(d *api.JobDiff) bool {
	if d == nil {
		return true
	}
	if !isEmpty("Edited", d.Fields, d.Objects) {
		return false
	}
	for _, g := range d.TaskGroups {
		if !isEmpty(g.Type, g.Fields, g.Objects) {
			return false
		}
		for _, t := range g.Tasks {
			if !isEmpty(t.Type, t.Fields, t.Objects) {
				return false
			}
		}
	}
	return true
}

// isEmpty: what is added or deleted counts even without a field; what is edited only
// where something in it is.
func isEmpty(kind string, fields []*api.FieldDiff, objects []*api.ObjectDiff) bool {
	switch kind {
	case "None":
		return true
	case "Added", "Deleted":
		return false
	}
	changed := func(f *api.FieldDiff) bool { return f.Type != "None" }
	return !slices.ContainsFunc(fields, changed) && !slices.ContainsFunc(objects, func(o *api.ObjectDiff) bool {
		return !isEmpty(o.Type, o.Fields, o.Objects)
	})
}

// sameDiff leaves out Updates and Annotations, which are the scheduler's moment
// and not the spec's.
func sameDiff(a, b *api.JobDiff) bool {
	return string(canonicalDiff(a)) == string(canonicalDiff(b))
}

func canonicalDiff(d *api.JobDiff) []byte {
	raw, _ := json.Marshal(d)
	var out api.JobDiff
	_ = json.Unmarshal(raw, &out) // of what was marshalled in the line above
	for _, g := range out.TaskGroups {
		g.Updates = nil
		stripFields(g.Fields)
		stripObjects(g.Objects)
		for _, t := range g.Tasks {
			t.Annotations = nil
			stripFields(t.Fields)
			stripObjects(t.Objects)
		}
	}
	stripFields(out.Fields)
	stripObjects(out.Objects)
	raw, _ = json.Marshal(out)
	return raw
}

func stripFields(fields []*api.FieldDiff) {
	for _, f := range fields {
		f.Annotations = nil
	}
}

func stripObjects(objects []*api.ObjectDiff) {
	for _, o := range objects {
		stripFields(o.Fields)
		stripObjects(o.Objects)
	}
}

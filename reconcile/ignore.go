package reconcile

import (
	"fmt"
	"slices"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
)

// keepIgnored is the desired job with what the live one has at the ignored places,
// which neither the diff nor a register then touches, and those places of them where
// they differ.
func keepIgnored(desired, live *api.Job, ignore []job.Path) (*api.Job, []job.Path, error) {
	if live == nil || len(ignore) == 0 {
		return desired, nil, nil
	}
	filled := job.Clone(desired) // what Nomad fills in differs from nothing
	filled.Canonicalize()
	var edits []job.Edit
	var kept []job.Path
	for _, p := range expanded(ignore, desired, live) {
		have, isThere := job.At(live, p)
		want, isWanted := job.At(filled, p)
		switch {
		case !isThere && !isWanted, isThere && isWanted && have.RawEquals(want):
			continue
		case isThere:
			edits = append(edits, job.Edit{Path: p, Op: job.Set, Value: have})
		case present(desired, p):
			edits = append(edits, job.Edit{Path: p, Op: job.Remove, Value: want})
		default:
			continue
		}
		kept = append(kept, p)
	}
	out, err := job.Apply(desired, edits)
	if err != nil {
		return nil, nil, fmt.Errorf("keeping what the rollout ignores: %w", err)
	}
	return out, kept, nil
}

// expanded are the places with every label written out, of groups and tasks that both
// jobs have: what only one has is no value to be kept.
func expanded(ignore []job.Path, desired, live *api.Job) []job.Path {
	var out []job.Path
	for _, p := range ignore {
		if p[0].Name != "group" || p[0].Key == "" {
			out = append(out, p)
			continue
		}
		for _, g := range desired.TaskGroups {
			if there := group(live, value(g.Name)); there != nil && labelled(p[0], value(g.Name)) {
				out = append(out, inGroup(p, g, there)...)
			}
		}
	}
	return out
}

func inGroup(p job.Path, desired, live *api.TaskGroup) []job.Path {
	at := job.Path{}.Block("group", value(desired.Name))
	if len(p) < 2 || p[1].Name != "task" || p[1].Key == "" {
		return []job.Path{slices.Concat(at, p[1:])}
	}
	var out []job.Path
	for _, t := range desired.Tasks {
		there := slices.ContainsFunc(live.Tasks, func(other *api.Task) bool { return other.Name == t.Name })
		if there && labelled(p[1], t.Name) {
			out = append(out, slices.Concat(at.Block("task", t.Name), p[2:]))
		}
	}
	return out
}

func present(j *api.Job, p job.Path) bool {
	_, ok := job.At(j, p)
	return ok
}

func labelled(s job.Step, name string) bool { return s.Key == policies.AllLabels || s.Key == name }

func group(j *api.Job, name string) *api.TaskGroup {
	for _, g := range j.TaskGroups {
		if value(g.Name) == name {
			return g
		}
	}
	return nil
}

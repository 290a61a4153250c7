package policies

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// merger brings the findings of all policies together: their edits are made on a
// copy of the job, and every policy is asked again about the result.
type merger struct {
	set         *Set
	side        Side
	given, live *api.Job
	first       *scope
	selected    []string
	diags       hcl.Diagnostics
}

// merge ends when every edit holds what it promises: each round takes the edits
// from at least one finding whose fix mends nothing.
func (m *merger) merge(sc *scope) Verdict {
	first, selected, diags := m.set.findings(m.side, sc)
	m.first, m.selected = sc, selected
	m.diags = append(m.diags, diags...)
	if diags.HasErrors() {
		return Verdict{Findings: plain(first)}
	}
	for {
		edits := mergedEdits(first)
		if conflict := conflictWith(edits, first); conflict != "" || len(edits) == 0 {
			return Verdict{Findings: plain(first), Conflict: conflict}
		}
		second, ok := m.again(edits)
		if !ok {
			return Verdict{Findings: plain(first)}
		}
		if conflict := conflictWith(edits, second); conflict != "" {
			return Verdict{Findings: plain(first), Conflict: conflict}
		}
		if takeUseless(first, second) {
			continue
		}
		return Verdict{Findings: plain(settle(first, second)), Edits: plainEdits(edits)}
	}
}

// again asks all policies about the job with the edits made.
func (m *merger) again(edits []authored) ([]finding, bool) {
	mended, err := job.Apply(m.given, plainEdits(edits))
	if err != nil {
		m.diags = append(m.diags, &hcl.Diagnostic{
			Severity: hcl.DiagError, Summary: "A fix cannot be made",
			Detail: fmt.Sprintf("To %s. Mend the job by hand, or set fix = false in the policy.", err),
		})
		return nil, false
	}
	second, _, diags := m.set.findings(m.side, m.first.edited(mended, edits))
	m.diags = append(m.diags, diags...)
	return second, !diags.HasErrors()
}

// authored is an edit and the policy that first asked for it.
type authored struct {
	job.Edit
	policy string
	index  int // of the policy
}

func mergedEdits(findings []finding) []authored {
	var out []authored
	for _, f := range findings {
		if !f.Fixable() {
			continue
		}
		for _, e := range f.Edits {
			if !slices.ContainsFunc(out, func(a authored) bool { return sameEdit(a.Edit, e) }) {
				out = append(out, authored{e, f.Policy, f.rank[0]})
			}
		}
	}
	return out
}

func plainEdits(edits []authored) []job.Edit {
	var out []job.Edit
	for _, e := range edits {
		out = append(out, e.Edit)
	}
	return job.Sort(out)
}

func sameEdit(a, b job.Edit) bool {
	return a.Op == b.Op && a.Old == b.Old && a.At == b.At && a.Path.Equal(b.Path) && sameValue(a.Value, b.Value)
}

func sameValue(a, b cty.Value) bool {
	if a == cty.NilVal || b == cty.NilVal {
		return a == b
	}
	return a.RawEquals(b)
}

// conflictWith finds a policy that wants something else at a place that an edit
// changes, whether or not it asks for a fix of its own.
func conflictWith(edits []authored, findings []finding) string {
	for _, f := range findings {
		for _, want := range f.Edits {
			for _, e := range edits {
				if e.policy == f.Policy || !e.Overlaps(want) || sameEdit(e.Edit, want) {
					continue
				}
				names := []string{e.policy, f.Policy}
				if f.rank[0] < e.index {
					slices.Reverse(names)
				}
				return fmt.Sprintf("policies %q and %q want different values at %s", names[0], names[1], e.Path)
			}
		}
	}
	return ""
}

// takeUseless takes the edits from findings that would be there again with all
// edits made, and says whether there were any.
func takeUseless(first, second []finding) bool {
	useless := false
	for i, f := range first {
		if f.Fixable() && contains(second, f) {
			first[i].Edits, first[i].Useless = nil, true
			first[i].Message += " (its fix does not mend it)"
			useless = true
		}
	}
	return useless
}

func contains(findings []finding, f finding) bool {
	return slices.ContainsFunc(findings, f.same)
}

// settle compares what was found with what is still found with the edits made.
// What another policy's edits mend counts as fixable too; what only shows up now
// is added, and no edit is known for it.
func settle(first, second []finding) []finding {
	for i, f := range first {
		if !f.Fixable() && f.Exception == nil && f.Rule != expiredRule && !contains(second, f) {
			first[i].Fix, first[i].Edits = true, editsAt(first, f)
		}
	}
	for _, f := range second {
		if contains(first, f) {
			continue
		}
		f.Edits = nil
		f.Message += " (also after the other fixes)"
		after, _ := slices.BinarySearchFunc(first, f, func(x, f finding) int {
			if f.before(x) {
				return 1
			}
			return -1
		})
		first = slices.Insert(first, after, f)
	}
	return first
}

// editsAt are the edits that others make at the finding's place, or else at its
// task.
func editsAt(findings []finding, f finding) []job.Edit {
	for _, at := range []job.Path{f.Path, f.task} {
		var out []job.Edit
		for _, e := range mergedEdits(findings) {
			if e.Path.HasPrefix(at) {
				out = append(out, e.Edit)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

func plain(findings []finding) []Finding {
	var out []Finding
	for _, f := range findings {
		out = append(out, f.Finding)
	}
	return out
}

package policies

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// terms are how much a policy insists, and whether it mends. A block may say
// them again for itself.
type terms struct {
	enforce Enforce
	fix     bool
}

var termNames = []string{"enforce", "fix"}

func (d *decoder) terms(attrs hcl.Attributes, inherited terms) terms {
	out := inherited
	if a := attrs["enforce"]; a != nil {
		out.enforce = Enforce(d.oneOf(a, string(Deny), string(Warn)))
	}
	if a := attrs["fix"]; a != nil {
		out.fix = d.boolean(a)
	}
	if d.source.Enforce != "" {
		out.enforce = d.source.Enforce
	}
	if d.source.Fix != nil {
		out.fix = *d.source.Fix
	}
	return out
}

// invariant is one block of a policy that is asked about each selected task.
type invariant interface {
	check(at place) ([]finding, hcl.Diagnostics)
}

// finding is a Finding with what tells whether it is the same one when the job
// has been mended, where positions and values differ.
type finding struct {
	Finding
	task    job.Path // what was asked about: for rules also a group or the job
	subject string   // an env key, a sudo argument, an element; empty for the whole
	rank    [3]int   // of the policy, the group and the task; -1 for none
}

func (t terms) finding(rule, subject string, path job.Path, message string, edits ...job.Edit) finding {
	return finding{subject: subject, Finding: Finding{
		Rule: rule, Enforce: t.enforce, Path: path, Message: message, Fix: t.fix, Edits: edits,
	}}
}

// doubt is a finding about what cannot be told before run time: never more than
// a warning, and never mended.
func doubt(rule, subject string, path job.Path, message string) finding {
	return terms{enforce: Warn}.finding(rule, subject, path, message)
}

func (f finding) same(other finding) bool {
	return f.Policy == other.Policy && f.Rule == other.Rule && f.subject == other.subject && f.task.Equal(other.task)
}

// before is the order of findings: policies, groups, tasks.
func (f finding) before(other finding) bool { return slices.Compare(f.rank[:], other.rank[:]) < 0 }

// skipped: the sidecars that Nomad adds for Connect are its own.
func skipped(t *api.Task) bool { return strings.HasPrefix(string(t.Kind), "connect-proxy:") }

func groupPath(g *api.TaskGroup) job.Path {
	var name string
	if g.Name != nil {
		name = *g.Name
	}
	return job.Path{}.Block("group", name)
}

func taskPath(g *api.TaskGroup, t *api.Task) job.Path { return groupPath(g).Block("task", t.Name) }

package policies

import (
	"github.com/hashicorp/hcl/v2"
)

// policy is one policy block.
type policy struct {
	terms
	name, description string
	index             int // among all policies
	match             match
	invariants        []invariant
	at                hcl.Range
}

var policySchema = schemaOf([]string{"description", "enforce", "fix"}, "match", "sudo", "env")

func (d *decoder) policy(b *hcl.Block) policy {
	content := d.content(b.Body, policySchema)
	p := policy{
		name: b.Labels[0], at: b.DefRange, description: d.text(content.Attributes["description"]),
		terms: d.terms(content.Attributes, terms{enforce: Deny}),
		match: d.match(d.single(content, "match"), append(jobFilters[:len(jobFilters):len(jobFilters)], taskFilters...)),
	}
	if b := d.single(content, "sudo"); b != nil {
		p.invariants = append(p.invariants, d.sudo(b, p.terms))
	}
	if b := d.single(content, "env"); b != nil {
		p.invariants = append(p.invariants, d.env(b, p.terms))
	}
	if len(p.invariants) == 0 && !d.diags.HasErrors() {
		d.diags = append(d.diags, &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Summary: "Policy demands nothing", Subject: &p.at,
			Detail: "Give it a sudo or an env block, or remove it.",
		})
	}
	return p
}

// check asks the policy about every task of the job that it selects.
func (p policy) check(side Side, s *scope) ([]finding, hcl.Diagnostics) {
	selected, diags := p.match.selectsJob(s)
	if !selected {
		return nil, diags
	}
	var out []finding
	for _, at := range p.places(s) {
		for _, inv := range p.invariants {
			found, more := inv.check(at)
			diags = append(diags, more...)
			for _, f := range found {
				f.Policy, f.Side, f.task, f.rank = p.name, side, at.path, [3]int{p.index, at.group, at.slot}
				out = append(out, f)
			}
		}
	}
	return out, diags
}

func (p policy) places(s *scope) []place {
	var out []place
	for g, group := range s.given.TaskGroups {
		for t, task := range group.Tasks {
			if !skipped(task) && p.match.selectsTask(task) {
				out = append(out, place{
					task: task, path: taskPath(group, task), group: g, slot: t,
					eval: func() *hcl.EvalContext { return s.ofTask(g, t) },
				})
			}
		}
	}
	return out
}

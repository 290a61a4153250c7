package policytest

import (
	"slices"
	"strings"

	"nomad-reconcile/reconcile"
)

// Rule is what tests have seen of one rule.
type Rule struct {
	File, Policy, ID string
	Found            bool // some test finds it
	Holds            bool // some test has a job that the policy selects, and does not find it
}

// Covered reports whether the rule was seen from both sides.
func (r Rule) Covered() bool { return r.Found && r.Holds }

// Rules adds up what several test files have seen, in their order.
func Rules(results []Result) []Rule {
	var all coverage
	for _, r := range results {
		for _, rule := range r.Rules {
			all.see(rule)
		}
	}
	return all.rules
}

type coverage struct{ rules []Rule }

func (c *coverage) see(r Rule) {
	i := slices.IndexFunc(c.rules, func(x Rule) bool { return x.File == r.File && x.Policy == r.Policy && x.ID == r.ID })
	if i < 0 {
		c.rules = append(c.rules, r)
		return
	}
	c.rules[i].Found = c.rules[i].Found || r.Found
	c.rules[i].Holds = c.rules[i].Holds || r.Holds
}

// add takes what one job's verdict says. That a sudo command line cannot be read is nothing
// that a policy demands.
func (c *coverage) add(d *document) {
	asked := !d.Diagnostics.HasErrors()
	for _, p := range d.set.Policies() {
		selected := asked && slices.Contains(d.Verdict.Selected, p.Name)
		for _, r := range p.Rules {
			if strings.HasSuffix(r.ID, ".cannot_tell") {
				continue
			}
			is := func(f reconcile.Finding) bool { return f.Policy == p.Name && f.Rule == r.ID }
			seen := asked && slices.ContainsFunc(d.Findings, is)
			c.see(Rule{File: p.Range.Filename, Policy: p.Name, ID: r.ID, Found: seen, Holds: selected && !seen})
		}
	}
}

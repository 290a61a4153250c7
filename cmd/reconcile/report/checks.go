package report

import (
	"fmt"
	"io"
	"slices"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
)

// check is what a plan says of its file, whatever is live.
type check struct {
	condition reconcile.Condition
	findings  []reconcile.Finding // of the file
	fixes     bool                // -fix would change the file
}

func checkOf(p reconcile.Plan) check {
	c := check{condition: reconcile.InSync, fixes: p.FileDiff != ""}
	for _, f := range p.Findings {
		if f.Side != policies.LiveSide {
			c.findings = append(c.findings, f)
		}
	}
	switch {
	case p.Hold != nil:
		c.condition = reconcile.Held
	case slices.ContainsFunc(c.findings, func(f reconcile.Finding) bool { return f.Denied() }):
		c.condition = reconcile.Denied
	case c.fixes:
		c.condition = reconcile.OutOfSync
	}
	return c
}

func (c check) actions() []reconcile.Action {
	if c.fixes {
		return []reconcile.Action{reconcile.EditFile}
	}
	return []reconcile.Action{}
}

// Checks writes what the policies say of the files alone: findings with their
// source lines, what -fix would change, and a summary.
func Checks(w io.Writer, plans []reconcile.Plan, s Style) {
	p := &page{Style: s}
	clean := 0
	for _, plan := range plans {
		c := checkOf(plan)
		if c.condition == reconcile.InSync && len(c.findings)+len(plan.Warnings) == 0 {
			clean++
			continue
		}
		p.blank()
		p.check(plan, c)
	}
	p.blank()
	p.checkSummary(plans, clean)
	p.flush(w)
}

func (p *page) check(plan reconcile.Plan, c check) {
	reason := ""
	switch {
	case plan.Hold != nil:
		reason = plan.Hold.Reason
	case len(c.findings) > 0:
		reason = count(len(c.findings), "finding")
	}
	p.names = []string{plan.ID.String(), plan.ID.Name}
	p.title(conditions[c.condition], plan.ID.String(), reason)
	p.hold(plan.Hold)
	p.findings(c.findings)
	p.fileDiff(plan.FileDiff)
	if len(plan.Warnings) > 0 {
		p.blank()
		Diagnostics(&p.b, plan.Warnings, plan.Sources, p.Style)
	}
}

func (p *page) checkSummary(plans []reconcile.Plan, clean int) {
	if len(plans) == 0 {
		p.line(0, "Check: no job files.")
		return
	}
	held := 0
	var all []reconcile.Finding
	for _, plan := range plans {
		c := checkOf(plan)
		all = append(all, c.findings...)
		if c.condition == reconcile.Held {
			held++
		}
	}
	fixable, denied := countOf(all, reconcile.Finding.Fixable), countOf(all, reconcile.Finding.Denied)
	p.total(fmt.Sprintf("Check: %s (%d fixable, %d denied, %d warned), %d held, %d of %s fine.",
		count(len(all), "finding"), fixable, denied, len(all)-fixable-denied, held, clean, count(len(plans), "job")))
	if fixable > 0 && !p.Applying {
		p.line(0, "To fix the files: "+p.paint(cyan, "reconcile check -fix"))
	}
}

func countOf(all []reconcile.Finding, is func(reconcile.Finding) bool) int {
	n := 0
	for _, f := range all {
		if is(f) {
			n++
		}
	}
	return n
}

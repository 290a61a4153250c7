package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

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
	reason := count(len(c.findings), "finding")
	if plan.Hold != nil {
		reason = plan.Hold.Reason
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
	var fixable, denied, warned, held int
	for _, plan := range plans {
		c := checkOf(plan)
		if c.condition == reconcile.Held {
			held++
		}
		for _, f := range c.findings {
			switch {
			case f.Fixable():
				fixable++
			case f.Denied():
				denied++
			default:
				warned++
			}
		}
	}
	parts := []string{fmt.Sprintf("%d fixable", fixable), fmt.Sprintf("%d denied", denied), fmt.Sprintf("%d warned", warned)}
	text := fmt.Sprintf("Check: %s (%s), %d held, %d of %s fine.",
		count(fixable+denied+warned, "finding"), strings.Join(parts, ", "), held, clean, count(len(plans), "job"))
	p.line(0, p.paint(bold, text))
	if fixable > 0 && !p.Applying {
		p.line(0, "To fix the files: "+p.paint(cyan, "reconcile check -fix"))
	}
}

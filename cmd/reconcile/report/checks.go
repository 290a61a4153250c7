package report

import (
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
)

// Check is what a check found, for whichever format.
type Check struct {
	Plans       []reconcile.Plan
	Skipped     []reconcile.Skipped
	Diagnostics hcl.Diagnostics // of job files; those of policies for single jobs
	Policies    []policies.Info
	Exceptions  []Due
	Side        policies.Side // which document was checked
	FailOn      policies.Enforce
	Fixed       bool   // what is fixable was fixed
	Version     string // of the program
}

// Fails reports whether a finding of a plan makes the check fail: it insists
// enough, and neither an exception nor a fix that was made takes it away.
func (c Check) Fails(p reconcile.Plan, f reconcile.Finding) bool {
	if f.Exception != nil || f.Side != c.Side || c.Fixed && f.Fixable() && p.Hold == nil {
		return false
	}
	return f.Enforce == policies.Deny || c.FailOn == policies.Warn
}

// check is what a plan says of one side alone.
type check struct {
	reconcile.Plan
	condition reconcile.Condition
	findings  []reconcile.Finding // of that side, without those that are excepted
	excepted  []reconcile.Finding
	fixes     bool // -fix would change the file
}

func checkOf(p reconcile.Plan, side policies.Side) check {
	c := check{Plan: p, condition: reconcile.InSync, fixes: p.FileDiff != ""}
	for _, f := range p.Findings {
		switch {
		case f.Side != side:
		case f.Exception != nil:
			c.excepted = append(c.excepted, f)
		default:
			c.findings = append(c.findings, f)
		}
	}
	if side == policies.LiveSide {
		c.fixes = slices.ContainsFunc(c.findings, reconcile.Finding.Fixable)
	}
	switch {
	case p.Hold != nil:
		c.condition = reconcile.Held
	case slices.ContainsFunc(c.findings, reconcile.Finding.Denied):
		c.condition = reconcile.Denied
	case c.fixes:
		c.condition = reconcile.OutOfSync
	}
	return c
}

func (c check) actions() []reconcile.Action {
	if c.FileDiff != "" {
		return []reconcile.Action{reconcile.EditFile}
	}
	return []reconcile.Action{}
}

// all are the findings of the side in the order in which the policies found them.
func (c check) all(side policies.Side) []reconcile.Finding {
	out := make([]reconcile.Finding, 0, len(c.findings)+len(c.excepted))
	for _, f := range c.Findings {
		if f.Side == side {
			out = append(out, f)
		}
	}
	return out
}

func (c check) clean() bool {
	return c.condition == reconcile.InSync && len(c.findings)+len(c.Warnings) == 0
}

// tally counts what a check found.
type tally struct {
	jobs, clean, held                           int
	findings, fixable, denied, warned, excepted int
}

func (t *tally) add(c check) {
	t.jobs++
	if c.clean() {
		t.clean++
	}
	if c.condition == reconcile.Held {
		t.held++
	}
	t.excepted += len(c.excepted)
	t.findings += len(c.findings)
	for _, f := range c.findings {
		switch {
		case f.Fixable():
			t.fixable++
		case f.Denied():
			t.denied++
		default:
			t.warned++
		}
	}
}

func (t tally) String() string {
	text := fmt.Sprintf("Check: %s (%d fixable, %d denied, %d warned), ", count(t.findings, "finding"), t.fixable, t.denied, t.warned)
	if t.excepted > 0 {
		text += fmt.Sprintf("%d excepted, ", t.excepted)
	}
	return text + fmt.Sprintf("%d held, %d of %s fine.", t.held, t.clean, count(t.jobs, "job"))
}

// Checks writes what the policies say of one side alone: findings with their
// source lines, what -fix would change, and a summary. Jobs of which there is
// nothing to say but that a finding is excepted are shown only where there are few.
func Checks(w io.Writer, c Check, s Style) {
	var sum tally
	var shown []check
	for _, plan := range c.Plans {
		job := checkOf(plan, c.Side)
		sum.add(job)
		if !job.clean() || len(job.excepted) > 0 && len(c.Plans) <= quietMost {
			shown = append(shown, job)
		}
	}
	p := &page{Style: s}
	for _, text := range s.texts(shown) {
		p.blank()
		p.b.WriteString(text)
	}
	p.blank()
	p.checkSummary(c, sum)
	p.flush(w)
}

// texts are what is written of each job. They are made side by side: to look for
// secrets takes its time.
func (s Style) texts(jobs []check) []string {
	out := make([]string, len(jobs))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, job := range jobs {
		g.Go(func() error {
			p := &page{Style: s}
			p.check(job)
			out[i] = p.b.String()
			return nil
		})
	}
	_ = g.Wait() // none fails
	return out
}

func (p *page) check(c check) {
	reason := ""
	switch {
	case c.Hold != nil:
		reason = c.Hold.Reason
	case len(c.findings) > 0:
		reason = count(len(c.findings), "finding")
	}
	p.names, p.held = []string{c.ID.String(), c.ID.Name}, c.Hold != nil
	p.title(conditions[c.condition], c.ID.String(), reason)
	p.hold(c.Hold)
	p.findings(c.findings, "")
	p.excepted(c.excepted)
	p.fileDiff(c.FileDiff)
	if len(c.Warnings) > 0 {
		p.blank()
		Diagnostics(&p.b, c.Warnings, c.Sources, p.Style)
	}
}

func (p *page) checkSummary(c Check, sum tally) {
	switch {
	case sum.jobs > 0:
		p.total(sum.String())
	case c.Side == policies.LiveSide:
		p.line(0, "Check: no jobs are registered.")
	default:
		p.line(0, "Check: no job files.")
	}
	if sum.fixable == 0 || p.Applying {
		return
	}
	if c.Side == policies.LiveSide {
		p.line(0, "To see what would be done to jobs that have a file: "+p.paint(cyan, "reconcile plan"))
	} else {
		p.line(0, "To fix the files: "+p.paint(cyan, "reconcile check -fix"))
	}
}

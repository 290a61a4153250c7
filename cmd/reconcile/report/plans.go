package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
)

// quietMost is the number of jobs up to which those in sync are named.
const quietMost = 10

// Plans writes what would be done to each job and why, a summary, and what to
// type next. Jobs in sync are one line each, or a count when they are many.
func Plans(w io.Writer, plans []reconcile.Plan, s Style) {
	p := &page{Style: s}
	var quiet []reconcile.Plan
	for _, plan := range plans {
		if isQuiet(plan) {
			quiet = append(quiet, plan)
			continue
		}
		p.blank()
		p.plan(plan)
	}
	p.quiet(quiet)
	p.blank()
	p.summary(plans)
	p.flush(w)
}

// isQuiet: in sync, and nothing to tell.
func isQuiet(p reconcile.Plan) bool {
	return p.Condition == reconcile.InSync && !p.Does() && countOf(p.Findings, isExcepted) == len(p.Findings) && len(p.LiveDiff)+len(p.Left)+len(p.Notes)+len(p.Warnings) == 0
}

func (p *page) quiet(plans []reconcile.Plan) {
	if len(plans) == 0 {
		return
	}
	p.blank()
	if len(plans) > quietMost {
		p.line(0, p.paint(green, "✓ ")+fmt.Sprintf("%d jobs in sync", len(plans)))
		return
	}
	for _, plan := range plans {
		p.heading(plan)
	}
}

func (p *page) plan(plan reconcile.Plan) {
	p.heading(plan)
	p.hold(plan.Hold)
	found, excepted := unexcepted(plan.Findings)
	p.findings(found, plan.Source)
	p.excepted(excepted)
	p.live(plan.Live, plan.Reason)
	p.fileDiff(plan.FileDiff)
	p.liveDiff(plan)
	p.variables(plan.Variables)
	p.steps(plan)
	p.list("Left:", yellow, plan.Left)
	p.list("Note:", cyan, plan.Notes)
	if len(plan.Warnings) > 0 {
		p.blank()
		Diagnostics(&p.b, plan.Warnings, plan.Sources, p.Style)
	}
}

// look is how a condition or result is shown.
type look struct{ sign, color, words string }

var conditions = map[reconcile.Condition]look{
	reconcile.InSync:     {"✓", green, "in sync"},
	reconcile.Degraded:   {"!", yellow, "degraded"},
	reconcile.OutOfSync:  {"~", yellow, "out of sync"},
	reconcile.Converging: {"~", cyan, "converging"},
	reconcile.Held:       {"!", yellow, "held"},
	reconcile.Denied:     {"✗", red, "denied"},
	reconcile.Failed:     {"✗", red, "failed"},
	reconcile.Orphan:     {"!", yellow, "orphan"},
}

func (p *page) heading(plan reconcile.Plan) {
	p.names, p.held = []string{plan.ID.String(), plan.ID.Name}, plan.Hold != nil
	l := conditions[plan.Condition]
	p.title(l, plan.ID.String(), plan.Reason)
}

// title is "~ web: out of sync: the reason".
func (p *page) title(l look, name, reason string) {
	name, reason = printable(name), clean(reason, p.names...)
	head := p.paint(l.color, l.sign) + " " + p.paint(bold, name) + ": " + p.paint(l.color, l.words)
	if reason == "" {
		p.line(0, head)
		return
	}
	plain := fmt.Sprintf("%s %s: %s: ", l.sign, name, l.words)
	lines := wrap(plain+reason, p.room(0))
	if len(lines) == 1 {
		p.line(0, head+": "+reason)
		return
	}
	p.line(0, head)
	p.para(4, "", "", reason)
}

func (p *page) hold(h *reconcile.Hold) {
	if h != nil {
		p.para(4, "next: ", cyan, h.Next)
	}
}

func (p *page) section(title string) {
	p.blank()
	p.line(2, p.paint(bold, title))
}

func (p *page) list(title, color string, texts []string) {
	if len(texts) == 0 {
		return
	}
	p.section(title)
	for _, t := range texts {
		p.para(4, "- ", color, t)
	}
}

// live is the live job in a few lines, without what the heading says already.
func (p *page) live(l *reconcile.LiveState, said string) {
	if l == nil {
		return
	}
	p.blank()
	parts := []string{fmt.Sprintf("version %d", l.Version), l.Status}
	if l.Stopped {
		parts[1] = "stopped by an operator"
	}
	if text := allocations(l.Allocations); text != "" {
		parts = append(parts, text)
	}
	if l.Why != "" && l.Why != said {
		parts = append(parts, "not healthy: "+l.Why)
	}
	p.para(2, "Live: ", bold, strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", "))
	p.failure(l)
}

func allocations(by map[string]int) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(by)) {
		if by[status] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", by[status], status))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	noun := " allocations"
	if len(parts) == 1 && by[strings.Fields(parts[0])[1]] == 1 {
		noun = " allocation"
	}
	return strings.Join(parts, ", ") + noun
}

// stderrMost is how many of the last lines of stderr a plan shows.
const stderrMost = 5

func (p *page) failure(l *reconcile.LiveState) {
	f := l.Failure
	if f == nil {
		return
	}
	text := fmt.Sprintf("task %s", f.Task)
	if f.ExitCode != 0 {
		text += fmt.Sprintf(" ended with exit code %d", f.ExitCode)
	} else {
		text += " failed"
	}
	if message := strings.TrimSuffix(strings.TrimSpace(f.Message), "."); message != "" && message != fmt.Sprintf("Exit Code: %d", f.ExitCode) {
		text += ": " + message
	}
	p.para(8, "", "", "last failure: "+text)
	lines := strings.Split(redactText(strings.Join(f.Stderr, "\n")), "\n")
	for _, l := range lines[max(0, len(lines)-stderrMost):] {
		if strings.TrimSpace(l) != "" {
			p.line(8, p.paint(dim, "| ")+clip(expand(printable(strings.TrimRight(l, "\r\n"))), p.room(10)))
		}
	}
}

func (p *page) variables(vars []reconcile.Variable) {
	if len(vars) == 0 {
		return
	}
	p.section("Variables:")
	for _, v := range vars {
		p.line(4, p.fitted(fmt.Sprintf("%s = %s", printable(v.Name), shown(v)), fmt.Sprintf("  (%s)", printable(v.Origin)), 4))
	}
}

// fitted clips text so that the dim note behind it still fits.
func (p *page) fitted(text, note string, indent int) string {
	room := p.room(indent)
	if room > 0 {
		room = max(room-cells(note), narrowest/2)
	}
	return clip(text, room) + p.paint(dim, note)
}

// steps are what a run would do, in its order, and what a failure would lead to.
func (p *page) steps(plan reconcile.Plan) {
	if !plan.Does() {
		return
	}
	p.section("What would happen:")
	for i, text := range stepsOf(plan) {
		p.para(4, fmt.Sprintf("%2d. ", i+1), "", text)
	}
	if text := onFailure(plan); text != "" {
		p.para(4, "", "", text)
	}
}

func stepsOf(plan reconcile.Plan) []string {
	var out []string
	before, after := gatesOf(plan)
	if plan.Will(reconcile.Register) || plan.Will(reconcile.Stop) {
		for _, g := range before {
			out = append(out, "gate "+described(g)+", before anything is touched")
		}
	}
	if plan.Will(reconcile.EditFile) {
		out = append(out, fmt.Sprintf("back up %s, then write the change into it", plan.File))
	}
	running := plan.Live != nil && !plan.Live.Stopped
	if plan.Will(reconcile.Stop) || plan.Will(reconcile.Register) && plan.Rollout.Strategy == policies.Restart && running {
		out = append(out, "stop the job and wait until its allocations have ended")
	}
	if plan.Will(reconcile.Register) {
		out = append(out, registerText(plan), "gate deployment: allocations healthy, restart count stable")
		for _, g := range after {
			out = append(out, "gate "+described(g))
		}
	}
	return out
}

func registerText(plan reconcile.Plan) string {
	switch {
	case plan.Live == nil:
		return "register the job: Nomad does not know it yet"
	case plan.Live.Stopped:
		return "register the job, which starts it again"
	case slices.ContainsFunc(plan.LiveDiff, func(c reconcile.Change) bool { return c.Stays }):
		return "register the live job with the fixes alone: drift stays"
	case plan.Rollout.Strategy == policies.Restart:
		return "register the job"
	}
	return "register the job, which Nomad rolls out"
}

// described is a gate with what its spec says of itself, if it does.
func described(g policies.Gate) string {
	text := gates.Title(g.Kind, g.Name)
	if spec, ok := g.Spec.(fmt.Stringer); ok {
		text += ": " + spec.String()
	}
	return text
}

func onFailure(plan reconcile.Plan) string {
	if !plan.Will(reconcile.Register) {
		return ""
	}
	limit := ""
	if plan.Rollout.Deadline > 0 {
		limit = fmt.Sprintf(" within %s", shortly(plan.Rollout.Deadline))
	}
	text := fmt.Sprintf("A gate that fails or does not pass%s: ", limit)
	if limit == "" {
		text = "A gate that fails: "
	}
	switch {
	case plan.Rollout.OnFailure == policies.Keep:
		return text + leftAs(plan)
	case plan.Live == nil:
		return text + "the job was not there before, so there is nothing better to go back to: file and job stay as the run made them."
	case !plan.Live.Healthy:
		return text + "the job is not healthy now, so there is nothing better to go back to: " + leftAs(plan)
	case plan.Will(reconcile.EditFile):
		return text + "file and job are put back."
	}
	return text + "the job is put back."
}

func leftAs(plan reconcile.Plan) string {
	if plan.Source != "" {
		return "the job stays as the run made it."
	}
	return "file and job stay as the run made them."
}

// summary counts the plans that do something, and the conditions of the others.
func (p *page) summary(plans []reconcile.Plan) {
	if len(plans) == 0 {
		p.para(0, "", "", "Plan: no jobs. No job file and no live job matches; look at the `source` blocks of reconcile.hcl.")
		return
	}
	change := 0
	for _, plan := range plans {
		if plan.Does() {
			change++
		}
	}
	p.total(summaryText(plans, change))
	if change > 0 && !p.Applying {
		p.line(0, "To do it: "+p.paint(cyan, cmp.Or(p.Do, "reconcile apply")))
	}
}

func summaryText(plans []reconcile.Plan, change int) string {
	var all summary
	left, excepted := 0, 0
	for _, plan := range plans {
		all.add(plan.Condition)
		_, waived := unexcepted(plan.Findings)
		excepted += len(waived)
		if plan.Condition == reconcile.OutOfSync && !plan.Does() {
			left++
		}
	}
	text := fmt.Sprintf("Plan: %d to change, %d denied, %d held, ", change, all.Denied, all.Held)
	for _, part := range []struct {
		n     int
		words string
	}{{left, "out of sync and left"}, {all.Degraded, "degraded"}, {all.Failed, "failed"}, {all.Converging, "converging"}, {all.Orphan, "orphan"}} {
		if part.n > 0 {
			text += fmt.Sprintf("%d %s, ", part.n, part.words)
		}
	}
	text += fmt.Sprintf("%d in sync.", all.InSync)
	if excepted > 0 {
		text += fmt.Sprintf(" %s excepted.", count(excepted, "finding"))
	}
	return text
}

// total is the line that sums up.
func (p *page) total(text string) {
	for _, l := range wrap(text, p.room(0)) {
		p.line(0, p.paint(bold, l))
	}
}

// byPlace orders findings as they stand in the file.
func byPlace(a, b reconcile.Finding) int {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Range.Start.Line, b.Range.Start.Line),
		cmp.Compare(a.Range.Start.Column, b.Range.Start.Column), cmp.Compare(a.Rule, b.Rule))
}

package policytest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/reconcile"
)

// compareFindings pairs what was expected with what was found; what is left over on
// either side is a failure.
func (t *trial) compareFindings(d *document) []Failure {
	pairs := matched(len(t.expected), len(d.Findings), func(i, j int) bool { return len(t.expected[i].differences(d.Findings[j])) == 0 })
	taken := make([]bool, len(d.Findings))
	for _, j := range pairs {
		if j >= 0 {
			taken[j] = true
		}
	}
	var failures []Failure
	for i, e := range t.expected {
		if pairs[i] < 0 {
			failures = append(failures, e.unmet(d, taken))
		}
	}
	for j, f := range d.Findings {
		if !taken[j] {
			failures = append(failures, Failure{
				Place: t.place(f.Range), Finding: &f,
				Message: fmt.Sprintf("%s (%s) was found, but no finding block expects it", f.Rule, terms(f)),
			})
		}
	}
	return failures
}

// unmet takes the finding that was probably meant, if there is one.
func (e expectation) unmet(d *document, taken []bool) Failure {
	j := e.nearest(d.Findings, taken)
	if j < 0 {
		return Failure{Place: e.at, Message: e.missing(d)}
	}
	taken[j] = true
	f := d.Findings[j]
	return Failure{Place: e.at, Finding: &f, Message: fmt.Sprintf("%s was found, but %s", f.Rule, strings.Join(e.differences(f), ", and "))}
}

func terms(f reconcile.Finding) string {
	words := []string{f.Policy, string(f.Enforce)}
	if f.Fixable() {
		words = append(words, "fixable")
	}
	if f.Exception != nil {
		words = append(words, "excepted")
	}
	return strings.Join(words, ", ")
}

// matched gives each of n a partner of its own among m, as far as there can be:
// an expectation that says little leaves the others what only they fit. It is -1
// for those without.
func matched(n, m int, fits func(i, j int) bool) []int {
	partner, owner := filled(n), filled(m)
	var give func(i int, seen []bool) bool
	give = func(i int, seen []bool) bool {
		for j := range m {
			if seen[j] || !fits(i, j) {
				continue
			}
			seen[j] = true
			if owner[j] < 0 || give(owner[j], seen) {
				owner[j], partner[i] = i, j
				return true
			}
		}
		return false
	}
	for i := range n {
		give(i, make([]bool, m))
	}
	return partner
}

func filled(n int) []int { return slices.Repeat([]int{-1}, n) }

func (e expectation) is(rule string) bool { return e.rule == rule || "rule."+e.rule == rule }

// differences say in what a finding is not as expected.
func (e expectation) differences(f reconcile.Finding) []string {
	if !e.is(f.Rule) {
		return []string{fmt.Sprintf("the rule is %s, not %s", f.Rule, e.rule)}
	}
	var out []string
	differs := func(given bool, name string, want, got any) {
		if given && want != got {
			out = append(out, fmt.Sprintf("%s is %v, not %v", name, got, want))
		}
	}
	differs(e.line > 0, "line", e.line, f.Range.Start.Line)
	differs(e.column > 0, "column", e.column, f.Range.Start.Column)
	differs(e.policy != "", "policy", e.policy, f.Policy)
	differs(e.enforce != "", "enforce", e.enforce, string(f.Enforce))
	if e.fixable != nil {
		differs(true, "fixable", *e.fixable, f.Fixable())
	}
	if e.excepted != nil {
		differs(true, "excepted", *e.excepted, f.Exception != nil)
	}
	if !strings.Contains(f.Message, e.message) {
		out = append(out, fmt.Sprintf("its message does not say %q", e.message))
	}
	return out
}

// nearest is, of the findings of this rule that nobody has taken, the one that
// differs in the least; -1 if there is none.
func (e expectation) nearest(found []reconcile.Finding, taken []bool) int {
	best, least := -1, 0
	for j, f := range found {
		if taken[j] || !e.is(f.Rule) {
			continue
		}
		if n := len(e.differences(f)); best < 0 || n < least {
			best, least = j, n
		}
	}
	return best
}

// missing says what was not found, and of a rule that there is not, which was
// probably meant.
func (e expectation) missing(d *document) string {
	var rules []string
	for _, p := range d.set.Policies() {
		for _, r := range p.Rules {
			rules = append(rules, r.ID)
		}
	}
	if !slices.ContainsFunc(rules, e.is) && e.rule != expiredRule {
		return fmt.Sprintf("the policies have no rule %q.%s", e.rule, didYouMean(e.rule, rules))
	}
	text := fmt.Sprintf("%s was expected", e.rule)
	if e.line > 0 {
		text += fmt.Sprintf(" at line %d", e.line)
	}
	return text + ", but not found"
}

// expiredRule is found by exceptions, and no policy lists it.
const expiredRule = "exception.expired"

// compareFixed makes all edits that are known, whether or not the policies ask for
// them: whoever uses a policy may. The fixed text must be free of what was mended.
func (t *trial) compareFixed(d *document) []Failure {
	if !slices.ContainsFunc(d.Findings, func(f reconcile.Finding) bool { return len(f.Edits) > 0 }) {
		return t.compareText(d.Doc.Bytes)
	}
	forced, stopped := t.hold(new(true))
	if stopped != nil {
		f := t.stoppedBy(stopped)
		f.Message = "with all fixes: " + f.Message
		return []Failure{f}
	}
	if forced.unfixed != "" {
		if t.fixed == nil { // the text is in the way, not the policy
			return nil
		}
		return []Failure{{Place: t.fixed.at, Message: "the fixes cannot be made: " + forced.unfixed}}
	}
	return append(t.compareText(forced.After), t.mended(forced)...)
}

func (t *trial) compareText(got []byte) []Failure {
	if t.fixed == nil || string(t.fixed.bytes) == string(got) {
		return nil
	}
	return []Failure{{
		Place: t.fixed.at, Message: "the fixed text is not the expected one",
		Diff: reconcile.Unified("expected", "fixed", t.fixed.bytes, got),
	}}
}

// mended holds the fixed text against the same policies.
func (t *trial) mended(forced *document) []Failure {
	var failures []Failure
	for _, f := range forced.Findings {
		if f.Useless {
			failures = append(failures, Failure{
				Place: t.place(f.Range), Finding: &f,
				Message: fmt.Sprintf("the fix of %s (%s) does not mend it where all fixes are made together", f.Rule, f.Policy),
			})
		}
	}
	if len(failures) > 0 {
		return failures
	}
	again := &document{set: forced.set, live: forced.live}
	if stopped := t.ask(again, forced.After); stopped != nil {
		f := t.stoppedBy(stopped)
		f.Message = "of the fixed text: " + f.Message
		return []Failure{f}
	}
	for _, f := range again.Findings {
		if f.Fixable() {
			failures = append(failures, Failure{Place: t.at, Finding: &f,
				Message: fmt.Sprintf("%s (%s) is found again in the fixed text", f.Rule, f.Policy)})
		}
	}
	return failures
}

// place is where in the test file a place of its job stands, or, of a job in a file
// of its own, that place.
func (t *trial) place(r hcl.Range) hcl.Range {
	if !t.job.inline {
		return r
	}
	at := t.job.at
	shown, lines := strings.Split(string(t.src), "\n"), strings.Split(string(t.job.bytes), "\n")
	n, row := r.Start.Line, at.Start.Line+r.Start.Line
	if n < 1 || n > len(lines) || row > len(shown) || row >= at.End.Line {
		return at
	}
	margin, same := strings.CutSuffix(shown[row-1], lines[n-1])
	if !same {
		return at
	}
	column := r.Start.Column + len(margin)
	return hcl.Range{Filename: at.Filename, Start: hcl.Pos{Line: row, Column: column}, End: hcl.Pos{Line: row, Column: column}}
}

package policies

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// exception waives rules of its policy for what it matches.
type exception struct {
	Exception
	match match
	ended bool
}

// expiredRule is the ID of what an exception that has ended finds.
const expiredRule = "exception.expired"

var exceptionNames = []string{"rule", "reason", "expires"}

func (d *decoder) exception(b *hcl.Block, policy string, rules []string) exception {
	own := d.content(b.Body, schemaOf(slices.Concat(exceptionNames, jobFilters, taskFilters))).Attributes
	e := exception{match: d.filters(own)}
	e.Policy, e.Range, e.Rules = policy, b.DefRange, d.texts(own["rule"])
	for _, glob := range e.Rules {
		if !slices.ContainsFunc(rules, func(id string) bool { return matchesRule(glob, id) }) {
			d.fail(own["rule"].Expr.Range(), "Unknown rule", "The policy %q has no rule that %q matches; it has %s.%s",
				policy, glob, strings.Join(rules, ", "), didYouMean(glob, append(withoutPrefix(rules), rules...)))
		}
	}
	if e.Reason = d.text(own["reason"]); strings.TrimSpace(e.Reason) == "" {
		d.fail(b.DefRange, "Missing reason", "An exception needs a reason: whoever reads it later must know why it is there.")
	}
	e.Expires = d.date(own["expires"], b.DefRange)
	e.ended = !e.Expires.IsZero() && e.Exception.Ended(d.now)
	return e
}

func (d *decoder) date(a *hcl.Attribute, block hcl.Range) time.Time {
	if a == nil {
		d.fail(block, "Missing expiry", `An exception needs the day on which it ends: expires = "2027-03-31".`)
		return time.Time{}
	}
	s := d.text(a)
	day, err := time.Parse(time.DateOnly, s)
	if err != nil {
		d.fail(a.Expr.Range(), "Not a date", `%s must be a day such as "2027-03-31", not %q.`, a.Name, s)
	}
	return day
}

// matchesRule: the prefix `rule.` may be left out.
func matchesRule(glob, id string) bool {
	return globMatch(glob, id) || globMatch("rule."+glob, id)
}

func withoutPrefix(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strings.TrimPrefix(id, "rule.")
	}
	return out
}

// waives reports whether the exception is about a finding of that rule.
func (e *exception) waives(id string) bool {
	return len(e.Rules) == 0 || slices.ContainsFunc(e.Rules, func(glob string) bool { return matchesRule(glob, id) })
}

// selects reports whether it is about this place; for a group or the job it is if
// it is about any task in it.
func (e *exception) selects(at place) (bool, hcl.Diagnostics) {
	selected, diags := e.match.selectsJob(at.scope)
	if !selected {
		return false, diags
	}
	for g, group := range at.scope.given.TaskGroups {
		for t, task := range group.Tasks {
			if (at.group < 0 || at.group == g) && (at.slot < 0 || at.slot == t) && e.match.selectsTask(task) {
				return true, diags
			}
		}
	}
	return false, diags
}

// waive marks the findings that an exception covers. One that has ended waives
// nothing, and says so once for each place where it would have.
func (p *policy) waive(at place, found []finding) ([]finding, hcl.Diagnostics) {
	var diags hcl.Diagnostics
	for i := range p.exceptions {
		e := &p.exceptions[i]
		if !slices.ContainsFunc(found, func(f finding) bool { return f.Exception == nil && e.waives(f.Rule) }) {
			continue
		}
		selected, more := e.selects(at)
		diags = append(diags, more...)
		switch {
		case !selected:
		case e.ended:
			found = append(found, terms{enforce: Warn}.finding(expiredRule, e.Range.String(), at.path,
				fmt.Sprintf("the exception %q ended on %s; mend what it waived, or give it a new day", e.Reason, e.Expires.Format(time.DateOnly))))
		default:
			e.mark(found)
		}
	}
	return found, diags
}

func (e *exception) mark(found []finding) {
	for i := range found {
		if found[i].Exception == nil && e.waives(found[i].Rule) {
			found[i].Exception, found[i].Edits = &e.Exception, nil
		}
	}
}

package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/policies"
)

// What GitHub's runner takes for the end of a message or of a property.
var (
	escapeMessage  = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	escapeProperty = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

// ChecksGitHub writes a check as workflow commands, which GitHub shows beside the
// lines of a change, and a summary. What is excepted is only counted.
func ChecksGitHub(w io.Writer, c Check) error {
	var b strings.Builder
	var sum tally
	for _, d := range sortedDiagnostics(c.Diagnostics) {
		at := place{}
		if d.Subject != nil {
			at = place{file: d.Subject.Filename, line: d.Subject.Start.Line, endLine: d.Subject.End.Line}
		}
		annotate(&b, severity(d.Severity), at, clean(d.Summary), clean(d.Detail))
	}
	for _, plan := range c.Plans {
		one := checkOf(plan, c.Side)
		sum.add(one)
		if plan.Hold != nil && !explained(plan, c.Diagnostics) {
			annotate(&b, "error", place{file: plan.File}, "held", held(plan))
		}
		for _, f := range one.findings {
			text := f.Message
			if f.File == "" {
				text = fmt.Sprintf("%s: %s: %s", plan.ID, pathOf(f), f.Message)
			}
			annotate(&b, level(f.Enforce), placeOf(f), f.Policy+" "+f.Rule, clean(text, plan.ID.String(), plan.ID.Name))
		}
	}
	for _, d := range c.Exceptions {
		annotate(&b, "notice", place{file: d.Range.Filename, line: d.Range.Start.Line, endLine: d.Range.End.Line}, "exception", d.sentence())
	}
	fmt.Fprintln(&b, sum)
	_, err := io.WriteString(w, b.String())
	return err
}

func severity(s hcl.DiagnosticSeverity) string {
	if s == hcl.DiagError {
		return level(policies.Deny)
	}
	return level(policies.Warn)
}

// annotate writes one command; GitHub takes columns only within one line.
func annotate(b *strings.Builder, kind string, at place, title, text string) {
	var props []string
	add := func(name, value string) { props = append(props, name+"="+escapeProperty.Replace(printable(value))) }
	if at.file != "" {
		add("file", at.file)
	}
	if at.line > 0 {
		add("line", fmt.Sprint(at.line))
		add("endLine", fmt.Sprint(at.endLine))
	}
	if at.endLast > 0 {
		add("col", fmt.Sprint(at.column))
		add("endColumn", fmt.Sprint(at.endLast))
	}
	add("title", title)
	fmt.Fprintf(b, "::%s %s::%s\n", kind, strings.Join(props, ","), escapeMessage.Replace(text))
}

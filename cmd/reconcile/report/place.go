package report

import (
	"strings"
	"unicode/utf16"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
)

// place is where a finding stands, as editors count: lines and columns from 1, in
// UTF-16 code units. Columns are 0 where they are not known.
type place struct {
	file                           string
	line, column, endLine, endLast int
}

// placeOf turns HCL's columns, which count graphemes, into those of editors.
func placeOf(f reconcile.Finding) place {
	at := place{file: f.File, line: f.Range.Start.Line, endLine: f.Range.End.Line}
	if at.line < 1 {
		return place{file: f.File}
	}
	before, literal, _ := split(f)
	at.column = 1 + units(before)
	if at.endLine == at.line {
		at.endLast = at.column + units(literal)
	}
	return at
}

func units(s string) int {
	n := 0
	for _, r := range s {
		n += utf16.RuneLen(r)
	}
	return n
}

// pathOf is the finding's place in the job; a rule about the whole job has none.
func pathOf(f reconcile.Finding) string {
	if len(f.Path) == 0 {
		return "job"
	}
	return f.Path.String()
}

// ruleID names a rule among those of all policies.
func ruleID(policy, rule string) string { return policy + "/" + rule }

// help says what a rule demands, and why: for machines that show it beside a
// finding. Markdown sets the assert as code.
func help(p policies.Info, r policies.RuleInfo, markdown bool) string {
	var parts []string
	for _, text := range []string{r.Description, p.Description, p.Why} {
		if text = strings.TrimSpace(text); text != "" {
			parts = append(parts, text)
		}
	}
	if r.Assert != "" {
		code := "assert = " + r.Assert
		if markdown {
			code = "```hcl\n" + code + "\n```"
		}
		parts = append(parts, code)
	}
	if r.Fix {
		parts = append(parts, "`reconcile check -fix` mends it where the fix is known.")
	}
	return printable(redactText(strings.Join(parts, "\n\n")))
}

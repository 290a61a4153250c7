package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"nomad-reconcile/policies"
)

// Explanation is a policy with all that a person wants to know of it.
type Explanation struct {
	policies.Info
	Variables []policies.VariableInfo
	Library   bool   // it is one of the library
	Use       bool   // the configuration uses it
	File      string // where it stands; of no interest for the library's
	Breaks    string // a job that breaks it; empty for none
	Holds     string // one that holds
}

// PolicyList writes a line for each policy, those in use and then those of the
// library that are not.
func PolicyList(w io.Writer, all []Explanation, s Style) {
	p := &page{Style: s}
	width := 0
	for _, e := range all {
		width = max(width, cells(e.Name))
	}
	for _, use := range []bool{true, false} {
		var heading string
		for _, e := range all {
			if e.Use != use {
				continue
			}
			if heading == "" {
				heading = map[bool]string{true: "In use:", false: "In the library, not in use:"}[use]
				if p.b.Len() > 0 {
					p.blank()
				}
				p.line(0, s.paint(bold, heading))
			}
			if name := printable(e.Name); e.Description == "" {
				p.line(2, s.paint(cyan, name))
			} else {
				p.para(2, fmt.Sprintf("%-*s  ", width, name), cyan, e.Description)
			}
		}
	}
	p.flush(w)
}

// Explain writes a policy, or of its rules only the ones given.
func Explain(w io.Writer, e Explanation, rules []policies.RuleInfo, s Style) {
	p := &page{Style: s}
	p.line(0, s.paint(bold, printable(e.Name))+"  "+s.paint(dim, e.origin()))
	p.para(2, "", "", e.Description)
	if e.Why != "" {
		p.blank()
		p.para(2, "", "", e.Why)
	}
	p.parameters(e.Variables, e.Use)
	p.section("Rules:")
	for _, r := range rules {
		p.rule(r)
	}
	p.code("An example that breaks it:", e.Breaks)
	p.code("One that holds:", e.Holds)
	if e.Library {
		p.code("How to use it, in reconcile.hcl:", e.block())
	}
	where := "How to make an exception, in the policy:"
	if e.Library {
		where = "How to make an exception, in that block:"
	}
	p.code(where, e.exception(rules))
	p.flush(w)
}

func (e Explanation) origin() string {
	switch {
	case e.Library && e.Use:
		return "of the library, in use"
	case e.Library:
		return "of the library, not in use"
	}
	return printable(e.File)
}

func (p *page) parameters(vars []policies.VariableInfo, use bool) {
	if len(vars) == 0 {
		return
	}
	label := map[bool]string{true: "is       ", false: "default  "}[use]
	p.section("Variables:")
	for _, v := range vars {
		p.line(4, p.paint(cyan, printable(v.Name))+"  "+p.paint(dim, printable(strings.Join(strings.Fields(v.Type), " "))))
		p.para(6, "", "", v.Description)
		p.written(6, label, literal(v))
	}
}

// literal is a variable's value as HCL.
func literal(v policies.VariableInfo) string {
	return strings.Join(strings.Fields(string(hclwrite.TokensForValue(v.Value).Bytes())), " ")
}

// rule shows one rule: what it wants in words, then as it is written.
func (p *page) rule(r policies.RuleInfo) {
	terms := []string{"each " + r.Scope, string(r.Enforce)}
	if r.ForEach != "" {
		terms[0] = "each of " + r.ForEach
	}
	if r.Scope == "job" && r.ForEach == "" {
		terms[0] = "the job"
	}
	if r.Fix {
		terms = append(terms, "has a fix")
	}
	p.line(4, p.paint(cyan, printable(r.ID))+"  "+p.paint(dim, printable(strings.Join(terms, ", "))))
	if r.Description != "" {
		p.para(6, "", "", r.Description)
	}
	p.written(6, "when     ", r.When)
	p.written(6, "assert   ", r.Assert)
	p.written(6, "message  ", r.Message)
}

// written is a text of a policy file as it stands there: patterns that look for
// secrets are none.
func (p *page) written(indent int, label, text string) {
	hang := indent + len(label)
	for i, l := range wrap(printable(text), p.room(hang)) {
		switch {
		case l == "":
		case i == 0:
			p.line(indent, p.paint(dim, label)+l)
		default:
			p.line(hang, l)
		}
	}
}

func (p *page) code(title, text string) {
	if text == "" {
		return
	}
	p.section(title)
	for line := range strings.Lines(printable(text)) {
		p.line(4, strings.TrimRight(line, "\r\n"))
	}
}

// block uses the policy, with each variable at its value.
func (e Explanation) block() string {
	if len(e.Variables) == 0 {
		return fmt.Sprintf("library %q {}\n", e.Name)
	}
	width := 0
	for _, v := range e.Variables {
		width = max(width, len(v.Name))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "library %q {\n", e.Name)
	for _, v := range e.Variables {
		fmt.Fprintf(&b, "  %-*s = %s\n", width, v.Name, literal(v))
	}
	b.WriteString("}\n")
	return b.String()
}

func (e Explanation) exception(rules []policies.RuleInfo) string {
	if len(rules) == 0 {
		return ""
	}
	return fmt.Sprintf(`exception {
  job     = ["NAME"]
  rule    = [%q]
  reason  = "why, and until what happens"
  expires = "YYYY-MM-DD"
}
`, strings.TrimPrefix(rules[0].ID, "rule."))
}

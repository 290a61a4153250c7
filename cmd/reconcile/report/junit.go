package report

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/reconcile"
)

type suites struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Skipped  int      `xml:"skipped,attr"`
	Suites   []suite  `xml:"testsuite"`
}

type suite struct {
	Name     string     `xml:"name,attr"`
	Tests    int        `xml:"tests,attr"`
	Failures int        `xml:"failures,attr"`
	Errors   int        `xml:"errors,attr"`
	Skipped  int        `xml:"skipped,attr"`
	Cases    []testCase `xml:"testcase"`
}

type testCase struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	File    string   `xml:"file,attr,omitempty"`
	Line    int      `xml:"line,attr,omitempty"`
	Failure *outcome `xml:"failure,omitempty"`
	Error   *outcome `xml:"error,omitempty"`
	Skipped *outcome `xml:"skipped,omitempty"`
}

type outcome struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
	Text    string `xml:",cdata"`
}

// ChecksJUnit writes a check as JUnit XML: a suite for each job, with a case for
// each finding, or one that passes. What makes the check fail is a failure, what
// only warns or is excepted is skipped, what is held is an error.
func ChecksJUnit(w io.Writer, c Check) error {
	all := suites{Name: "reconcile check"}
	for _, plan := range c.Plans {
		s := suiteOf(plan, c)
		all.Tests += s.Tests
		all.Failures += s.Failures
		all.Errors += s.Errors
		all.Skipped += s.Skipped
		all.Suites = append(all.Suites, s)
	}
	out, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, out)
	return err
}

func suiteOf(plan reconcile.Plan, c Check) suite {
	class := printable(plan.ID.String())
	s := suite{Name: printable(cmp.Or(plan.File, plan.ID.String()))}
	if plan.Hold != nil {
		s.Errors++
		s.Cases = append(s.Cases, testCase{Class: class, Name: "held", File: printable(plan.File), Error: &outcome{
			Message: clean(plan.Hold.Reason, plan.ID.Name), Type: "held", Text: mistakes(plan, c.Diagnostics),
		}})
	}
	names := map[string]int{}
	for _, f := range checkOf(plan, c.Side).all(c.Side) {
		one := caseOf(plan, f, c)
		one.Class = class
		if names[one.Name]++; names[one.Name] > 1 {
			one.Name += fmt.Sprintf(" (%d)", names[one.Name])
		}
		if one.Failure != nil {
			s.Failures++
		} else if one.Skipped != nil {
			s.Skipped++
		}
		s.Cases = append(s.Cases, one)
	}
	if len(s.Cases) == 0 {
		s.Cases = []testCase{{Class: class, Name: "policies", File: printable(plan.File)}}
	}
	s.Tests = len(s.Cases)
	return s
}

// mistakes are what is wrong with a job's file, and what to do next.
func mistakes(plan reconcile.Plan, diags hcl.Diagnostics) string {
	lines := []string{"next: " + clean(plan.Hold.Next, plan.ID.Name)}
	for _, d := range sortedDiagnostics(diags) {
		if d.Subject != nil && d.Subject.Filename == plan.File {
			lines = append(lines, fmt.Sprintf("%s:%d:%d: %s", printable(plan.File), d.Subject.Start.Line, d.Subject.Start.Column, sentences(d)))
		}
	}
	return strings.Join(lines, "\n")
}

// caseOf is named by the finding's place in the job, which lines that move do not
// change: CI systems compare cases by their names.
func caseOf(plan reconcile.Plan, f reconcile.Finding, c Check) testCase {
	message := clean(f.Message, plan.ID.String(), plan.ID.Name)
	out := testCase{Name: printable(fmt.Sprintf("%s %s at %s", f.Policy, f.Rule, pathOf(f))), File: printable(f.File), Line: f.Range.Start.Line}
	switch {
	case f.Exception != nil:
		out.Skipped = &outcome{Message: fmt.Sprintf("excepted until %s: %s", f.Exception.Expires.Format(time.DateOnly), clean(f.Exception.Reason))}
	case c.Fails(plan, f):
		out.Failure = &outcome{Message: message, Type: string(f.Enforce), Text: snippet(f)}
	case c.Fixed && f.Fixable() && plan.Hold == nil:
		out.Skipped = &outcome{Message: "fixed: " + message}
	default:
		out.Skipped = &outcome{Message: "warning: " + message}
	}
	return out
}

// snippet is the place of a finding and the line there.
func snippet(f reconcile.Finding) string {
	if f.File == "" {
		return "live job: " + printable(pathOf(f))
	}
	text := fmt.Sprintf("%s:%d:%d", printable(f.File), f.Range.Start.Line, f.Range.Start.Column)
	if f.Source == "" {
		return text
	}
	line, from, to := pointed(f, 0)
	return text + "\n" + line + "\n" + strings.Repeat(" ", from) + strings.Repeat("^", to-from)
}

package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/reconcile/policytest"
)

// Tests is what came of the tests of policies.
type Tests struct {
	Results  []policytest.Result
	Broken   map[string]hcl.Diagnostics // the files that do not load
	Untested []string                   // policy files that no test uses
	Partial  bool                       // only some tests were asked for: what is covered says nothing
}

// counts are those of the summary.
type counts struct{ tests, failed, covered, rules int }

func (t Tests) counts() counts {
	var c counts
	for _, r := range t.Results {
		c.tests += len(r.Tests)
		c.failed += r.Failed()
	}
	for _, r := range policytest.Rules(t.Results) {
		if c.rules++; r.Covered() {
			c.covered++
		}
	}
	return c
}

// TestsText writes a line for each file, the failures with their places, and a
// summary with the rules that no test has seen from both sides.
func TestsText(w io.Writer, t Tests, s Style) {
	p := &page{Style: s}
	for _, r := range t.Results {
		if !t.Partial || len(r.Tests) > 0 || t.Broken[r.File].HasErrors() {
			p.testFile(r, t)
		}
	}
	p.untested(t)
	p.testSummary(t)
	p.flush(w)
}

func (p *page) testFile(r policytest.Result, t Tests) {
	name := printable(r.File)
	switch {
	case t.Broken[r.File].HasErrors():
		p.line(0, p.paint(red, "FAIL")+"  "+name+"  does not load")
		return
	case r.Failed() == 0:
		p.line(0, p.paint(green, "ok")+"    "+name+"  "+count(len(r.Tests), "test"))
		return
	}
	p.line(0, p.paint(red, "FAIL")+"  "+name+fmt.Sprintf("  %d of %s failed", r.Failed(), count(len(r.Tests), "test")))
	shown := map[diagKey]bool{}
	for _, test := range r.Tests {
		if test.Passed() {
			continue
		}
		p.blank()
		p.line(2, p.paint(red, "✗")+" "+p.paint(bold, printable(test.Name)))
		for _, f := range test.Failures {
			p.testFailure(f, r, shown)
		}
	}
	p.blank()
}

// testFailure shows diagnostics once per file: a policy that does not load fails
// every test of it.
func (p *page) testFailure(f policytest.Failure, r policytest.Result, shown map[diagKey]bool) {
	p.para(4, whereOf(f.Place)+": ", bold, f.Message)
	if f.Finding != nil {
		p.para(8, "", "", f.Finding.Message)
		p.source(*f.Finding)
	}
	if f.Diff != "" {
		p.diffLines(8, redactDiff(strings.TrimSuffix(f.Diff, "\n")))
	}
	var news hcl.Diagnostics
	for _, d := range f.Diagnostics {
		if !shown[keyOf(d)] {
			shown[keyOf(d)] = true
			news = append(news, d)
		}
	}
	switch {
	case len(news) > 0:
		p.blank()
		Diagnostics(&p.b, news, r.Sources, p.Style)
	case len(f.Diagnostics) > 0:
		p.line(8, "As above.")
	}
}

func whereOf(r hcl.Range) string {
	return fmt.Sprintf("%s:%d:%d", printable(r.Filename), r.Start.Line, r.Start.Column)
}

func (p *page) untested(t Tests) {
	if len(t.Untested) > 0 && !t.Partial {
		p.blank()
		p.para(0, "Without tests: ", yellow, strings.Join(t.Untested, ", "))
	}
}

func (p *page) testSummary(t Tests) {
	c := t.counts()
	text := fmt.Sprintf("%s, %d passed", count(c.tests, "test"), c.tests-c.failed)
	if c.failed > 0 {
		text += fmt.Sprintf(", %d failed", c.failed)
	}
	if n := len(t.Broken); n > 0 {
		text += fmt.Sprintf("; %s not load", map[bool]string{true: "1 file does", false: fmt.Sprintf("%d files do", n)}[n == 1])
	}
	if !t.Partial {
		text += fmt.Sprintf("; rules covered: %d of %d", c.covered, c.rules)
		if missing := uncovered(t); len(missing) > 0 {
			text += " (not covered: " + strings.Join(missing, ", ") + ")"
		}
	}
	p.total(text)
}

// uncovered says of each rule which side no test has seen.
func uncovered(t Tests) []string {
	var out []string
	for _, r := range policytest.Rules(t.Results) {
		side := ""
		switch {
		case r.Covered():
			continue
		case r.Found:
			side = ": always found"
		case r.Holds:
			side = ": never found"
		}
		out = append(out, r.Policy+"/"+r.ID+side)
	}
	return out
}

type testsDoc struct {
	FormatVersion string      `json:"format_version"`
	Files         []testsFile `json:"files"`
	Rules         []testsRule `json:"rules"`
	Untested      []string    `json:"untested"`
	Summary       testsSum    `json:"summary"`
}

type testsFile struct {
	File   string    `json:"file"`
	Errors []string  `json:"errors"`
	Tests  []oneTest `json:"tests"`
}

type oneTest struct {
	Name     string        `json:"name"`
	Line     int           `json:"line"`
	Passed   bool          `json:"passed"`
	Failures []testFailure `json:"failures"`
}

type testFailure struct {
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Column  int      `json:"column"`
	Message string   `json:"message"`
	Finding string   `json:"finding"`
	Diff    string   `json:"diff"`
	Errors  []string `json:"errors"`
}

type testsRule struct {
	File   string `json:"file"`
	Policy string `json:"policy"`
	Rule   string `json:"rule"`
	Found  bool   `json:"found"`
	Holds  bool   `json:"holds"`
}

type testsSum struct {
	Tests   int `json:"tests"`
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Rules   int `json:"rules"`
	Covered int `json:"covered"`
}

// TestsJSON writes all of it as one JSON object; lists are never null.
func TestsJSON(w io.Writer, t Tests) error {
	c := t.counts()
	doc := testsDoc{
		FormatVersion: FormatVersion, Files: []testsFile{}, Rules: []testsRule{}, Untested: append([]string{}, t.Untested...),
		Summary: testsSum{c.tests, c.tests - c.failed, c.failed, c.rules, c.covered},
	}
	for _, r := range t.Results {
		f := testsFile{File: r.File, Errors: sentencesOf(t.Broken[r.File]), Tests: []oneTest{}}
		for _, test := range r.Tests {
			one := oneTest{Name: test.Name, Line: test.Range.Start.Line, Passed: test.Passed(), Failures: []testFailure{}}
			for _, x := range test.Failures {
				one.Failures = append(one.Failures, failureOf(x))
			}
			f.Tests = append(f.Tests, one)
		}
		doc.Files = append(doc.Files, f)
	}
	for _, r := range policytest.Rules(t.Results) {
		doc.Rules = append(doc.Rules, testsRule{r.File, r.Policy, r.ID, r.Found, r.Holds})
	}
	return encode(w, doc)
}

func failureOf(f policytest.Failure) testFailure {
	out := testFailure{
		File: f.Place.Filename, Line: f.Place.Start.Line, Column: f.Place.Start.Column,
		Message: clean(f.Message), Diff: redactDiff(f.Diff), Errors: sentencesOf(f.Diagnostics),
	}
	if f.Finding != nil {
		out.Finding = clean(f.Finding.Message)
	}
	return out
}

// sentencesOf are diagnostics in a line each, with their places.
func sentencesOf(diags hcl.Diagnostics) []string {
	out := []string{}
	for _, d := range sortedDiagnostics(diags) {
		text := sentences(d)
		if d.Subject != nil {
			text = whereOf(*d.Subject) + ": " + text
		}
		out = append(out, text)
	}
	return out
}

// TestsJUnit writes a suite for each file, with a case for each test. A file that
// does not load is a case with an error.
func TestsJUnit(w io.Writer, t Tests) error {
	all := suites{Name: "reconcile test"}
	for _, r := range t.Results {
		s := suite{Name: printable(r.File), Tests: len(r.Tests), Failures: r.Failed()}
		if broken := t.Broken[r.File]; broken.HasErrors() {
			s.Tests, s.Errors = 1, 1
			s.Cases = []testCase{{Class: s.Name, Name: "load", File: s.Name, Error: &outcome{
				Message: "the file does not load", Type: "load", Text: strings.Join(sentencesOf(broken), "\n"),
			}}}
		}
		for _, test := range r.Tests {
			s.Cases = append(s.Cases, junitTest(r, test))
		}
		all.Tests, all.Failures, all.Errors = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors
		all.Suites = append(all.Suites, s)
	}
	out, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, out)
	return err
}

func junitTest(r policytest.Result, test policytest.Test) testCase {
	out := testCase{Class: printable(r.File), Name: printable(test.Name), File: printable(r.File), Line: test.Range.Start.Line}
	if test.Passed() {
		return out
	}
	var lines []string
	for _, f := range test.Failures {
		lines = append(lines, whereOf(f.Place)+": "+clean(f.Message))
		if f.Finding != nil {
			lines = append(lines, clean(f.Finding.Message))
		}
		if f.Diff != "" {
			lines = append(lines, printable(redactDiff(f.Diff)))
		}
		lines = append(lines, sentencesOf(f.Diagnostics)...)
	}
	out.Failure = &outcome{Message: clean(test.Failures[0].Message), Type: "test", Text: strings.Join(lines, "\n")}
	return out
}

package policytest

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/source"
)

// Options say which tests of a file are run, and when.
type Options struct {
	Now  time.Time      // the day of tests that do not say one; exceptions end by it
	Only *regexp.Regexp // the tests to run, by their names; nil for all
}

// Result is what came of the tests of one file.
type Result struct {
	File     string               // as it was named
	Policies []string             // the policy files that it tests
	Tests    []Test               // those that were run, in the order of the file
	Rules    []Rule               // those of the policies, in their order
	Sources  map[string]*hcl.File // everything that was read, for diagnostics with snippets
}

// Failed is the number of tests that failed.
func (r Result) Failed() int {
	n := 0
	for _, t := range r.Tests {
		if !t.Passed() {
			n++
		}
	}
	return n
}

// Test is what came of one test.
type Test struct {
	Name     string
	Range    hcl.Range // of the block's header
	Failures []Failure
}

// Passed reports whether all was as expected.
func (t Test) Passed() bool { return len(t.Failures) == 0 }

// Failure is one thing that is not as a test expects it.
type Failure struct {
	Place       hcl.Range          // in the test file, or in the file of its job
	Message     string             // one line
	Finding     *reconcile.Finding // with its place in the job; nil where it is about none
	Diff        string             // unified, from the expected text to the one that came out
	Diagnostics hcl.Diagnostics    // in the files of Result.Sources
}

// Run reads a test file and runs its tests. Names are those of the file system,
// the ones in the file relative to it. With an error among the diagnostics nothing
// was run, and the result has the sources alone. A policy that does not load, or
// cannot be evaluated, is a failure of the tests that use it.
func Run(fsys fs.FS, name string, o Options) (Result, hcl.Diagnostics) {
	f, sources, diags := load(fsys, name)
	r := Result{File: name, Sources: sources}
	if diags.HasErrors() {
		return r, diags
	}
	for _, p := range f.policies {
		r.Policies = append(r.Policies, p.Name)
	}
	c := coverage{}
	for _, t := range f.tests {
		if o.Only == nil || o.Only.MatchString(t.name) {
			trial := trial{test: t, file: f, src: sources[name].Bytes, cover: &c}
			if trial.now.IsZero() {
				trial.now = o.Now
			}
			r.Tests = append(r.Tests, Test{Name: t.name, Range: t.at, Failures: trial.run()})
		}
	}
	r.Rules = c.rules
	return r, diags
}

// Examples are the jobs of a file's first tests with example = "breaks" and with
// example = "holds"; empty where there is none.
func Examples(fsys fs.FS, name string) (breaks, holds string, diags hcl.Diagnostics) {
	f, _, diags := load(fsys, name)
	if diags.HasErrors() {
		return "", "", diags
	}
	first := func(word string) string {
		i := slices.IndexFunc(f.tests, func(t test) bool { return t.example == word && t.job != nil })
		if i < 0 {
			return ""
		}
		return string(f.tests[i].job.bytes)
	}
	return first("breaks"), first("holds"), diags
}

// trial is one test while it runs.
type trial struct {
	test
	file  file
	src   []byte // of the test file
	cover *coverage
}

// obstacle is why a job could not be held against policies, or not be mended.
type obstacle struct {
	text  string
	diags hcl.Diagnostics
}

func (t *trial) run() []Failure {
	held, stopped := t.hold(nil)
	if held.set != nil {
		t.cover.add(held)
	}
	switch {
	case t.err != "":
		return t.compareError(stopped)
	case stopped != nil:
		return []Failure{t.stoppedBy(stopped)}
	}
	return append(t.compareFindings(held), t.compareFixed(held)...)
}

func (t *trial) stoppedBy(o *obstacle) Failure {
	return Failure{Place: t.at, Message: o.text, Diagnostics: o.diags}
}

// document is a job's text held against policies.
type document struct {
	reconcile.File
	set     *policies.Set
	live    *api.Job
	unfixed string // why there is no fixed text; empty where there is
}

// hold holds the job against the policies; fix, if given, wins over what they say
// of fixes. The document has the set if that loads.
func (t *trial) hold(fix *bool) (*document, *obstacle) {
	sources := slices.Clone(t.file.policies)
	for i := range sources {
		sources[i].Fix = fix
	}
	set, diags := policies.Load(sources, policies.Options{Gates: gates.Kinds(), Vars: t.variables, Now: t.now})
	d := &document{set: set}
	if diags.HasErrors() {
		return d, &obstacle{"the policies do not load", diags}
	}
	if t.job == nil {
		return d, nil
	}
	if t.live != nil {
		spec, diags := t.parse(t.live.name, t.live.bytes, true)
		if diags.HasErrors() {
			return d, &obstacle{"the live job does not parse", diags}
		}
		d.live = spec.Job
	}
	return d, t.ask(d, t.job.bytes)
}

func (t *trial) parse(name string, src []byte, lenient bool) (*jobspec.File, hcl.Diagnostics) {
	return jobspec.Parse(name, src, jobspec.Inputs{Vars: t.vars, Lenient: lenient})
}

// ask holds a text against the document's policies, as `check` does.
func (t *trial) ask(d *document, src []byte) *obstacle {
	spec, diags := t.parse(t.job.name, src, false)
	if diags.HasErrors() {
		return &obstacle{"the job does not parse", diags}
	}
	d.File = reconcile.File{Doc: source.Document{Name: t.job.name, Bytes: src}, Spec: spec, After: src}
	id := job.IDOf(spec.Job)
	if id.Namespace == "" {
		id.Namespace = job.DefaultNamespace
	}
	hold := d.Check(d.set, id, d.live)
	switch {
	case d.Diagnostics.HasErrors():
		return &obstacle{"the policies cannot be evaluated for this job", d.Diagnostics}
	case d.Verdict.Conflict != "":
		return &obstacle{text: d.Verdict.Conflict}
	case hold != nil:
		d.unfixed = hold.Reason
	}
	return nil
}

// compareError looks for the error that is expected: of the policies, the job, or
// the fix.
func (t *trial) compareError(stopped *obstacle) []Failure {
	if stopped == nil {
		var forced *document
		if forced, stopped = t.hold(new(true)); stopped == nil && forced.unfixed != "" {
			stopped = &obstacle{text: forced.unfixed}
		}
	}
	if stopped == nil {
		return []Failure{{Place: t.at, Message: fmt.Sprintf("expected the error %q, but there is none", t.err)}}
	}
	said := []string{stopped.text}
	for _, d := range stopped.diags {
		said = append(said, d.Summary+": "+d.Detail)
	}
	if slices.ContainsFunc(said, func(s string) bool { return strings.Contains(oneLine(s), oneLine(t.err)) }) {
		return nil
	}
	f := t.stoppedBy(stopped)
	f.Message = fmt.Sprintf("expected the error %q, but %s", t.err, f.Message)
	return []Failure{f}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

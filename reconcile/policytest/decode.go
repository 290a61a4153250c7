package policytest

import (
	"fmt"
	"io/fs"

	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
)

// The ends of the names of test files and of the policies that they are about.
const (
	Suffix       = ".policytest.hcl"
	policySuffix = ".policy.hcl"
)

// file is one test file, with what it names read in.
type file struct {
	name     string
	policies []policies.Source
	tests    []test
}

// test is one test block.
type test struct {
	name, example string
	at            hcl.Range // of the block's header
	job, live     *text     // nil without
	vars          map[string]string
	variables     map[string]policies.Given
	now           time.Time // zero: the day of the run
	expected      []expectation
	fixed         *text
	err           string // a part of the diagnostic; empty where none is expected
}

// expectation is one finding block; what it does not say is nil or empty.
type expectation struct {
	at                       hcl.Range
	rule                     string
	policy, enforce, message string
	line, column             int
	fixable, excepted        *bool
}

// text is the content of an attribute, or of the file that it names.
type text struct {
	name   string // of the document, for messages
	bytes  []byte
	at     hcl.Range // of the attribute's value
	inline bool
}

var (
	fileSchema = &hcl.BodySchema{
		Attributes: []hcl.AttributeSchema{{Name: "policies"}, {Name: "variables"}},
		Blocks:     []hcl.BlockHeaderSchema{{Type: "test", LabelNames: []string{"name"}}},
	}
	testSchema = &hcl.BodySchema{
		Attributes: attributes("example", "job", "file", "vars", "variables", "now", "live", "live_file", "fixed", "fixed_file", "error"),
		Blocks:     []hcl.BlockHeaderSchema{{Type: "finding", LabelNames: []string{"rule"}}},
	}
	findingSchema = &hcl.BodySchema{
		Attributes: attributes("line", "column", "policy", "enforce", "message", "fixable", "excepted"),
	}
)

func attributes(names ...string) []hcl.AttributeSchema {
	out := make([]hcl.AttributeSchema, len(names))
	for i, name := range names {
		out[i].Name = name
	}
	return out
}

// decoder gathers every mistake on its way. What it returns after one is a zero
// value that nobody will use.
type decoder struct {
	fsys    fs.FS
	name    string
	src     []byte
	sources map[string]*hcl.File // everything that was read, for snippets
	diags   hcl.Diagnostics
}

func (d *decoder) fail(r hcl.Range, summary, detail string, args ...any) {
	d.diags = append(d.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(detail, args...), Subject: &r,
	})
}

// load reads a test file and all files that it names. The sources are there also
// where it fails.
func load(fsys fs.FS, name string) (file, map[string]*hcl.File, hcl.Diagnostics) {
	d := &decoder{fsys: fsys, name: name, sources: map[string]*hcl.File{}}
	f := file{name: name}
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return f, d.sources, hcl.Diagnostics{{
			Severity: hcl.DiagError, Summary: "Test file cannot be read", Detail: fmt.Sprintf("Reading %s: %s.", name, reason(err)),
		}}
	}
	d.src, d.sources[name] = src, &hcl.File{Bytes: src}
	parsed, diags := hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	if d.diags = diags; diags.HasErrors() {
		return f, d.sources, d.diags
	}
	d.file(parsed.Body, &f)
	slices.SortStableFunc(d.diags, func(a, b *hcl.Diagnostic) int { return startOf(a) - startOf(b) })
	return f, d.sources, d.diags
}

func startOf(d *hcl.Diagnostic) int {
	if d.Subject == nil {
		return 0
	}
	return d.Subject.Start.Byte
}

func (d *decoder) content(body hcl.Body, schema *hcl.BodySchema) *hcl.BodyContent {
	content, diags := body.Content(schema)
	d.diags = append(d.diags, diags...)
	return content
}

func (d *decoder) file(body hcl.Body, f *file) {
	content := d.content(body, fileSchema)
	f.policies = d.policies(content.Attributes["policies"])
	shared := d.givens(content.Attributes["variables"])
	names := map[string]int{}
	for _, b := range content.Blocks {
		t := d.test(b, shared)
		if line, taken := names[t.name]; taken {
			d.fail(b.LabelRanges[0], "Duplicate test", "There is a test %q on line %d already. Rename one of them.", t.name, line)
		}
		names[t.name] = b.DefRange.Start.Line
		f.tests = append(f.tests, t)
	}
	if len(content.Blocks) == 0 && !d.diags.HasErrors() {
		d.fail(hcl.Range{Filename: d.name, Start: hcl.InitialPos, End: hcl.InitialPos}, "No tests",
			`Write one: test "NAME" { job = ...; finding "RULE" {} }.`)
	}
}

// policies are those that the file names, else the one beside it.
func (d *decoder) policies(a *hcl.Attribute) []policies.Source {
	if a == nil {
		name := strings.TrimSuffix(d.name, Suffix) + policySuffix
		src, err := d.read(name)
		if err != nil {
			d.fail(hcl.Range{Filename: d.name, Start: hcl.InitialPos, End: hcl.InitialPos}, "No policy to test",
				"Reading %s: %s. Name the policies that this file tests: policies = [\"NAME.policy.hcl\"].", name, reason(err))
		}
		return []policies.Source{{Name: name, Bytes: src}}
	}
	v, ok := d.value(a, cty.List(cty.String), `a list of files such as ["images.policy.hcl"]`)
	if !ok {
		return nil
	}
	if v.LengthInt() == 0 {
		d.fail(a.Expr.Range(), "Empty list", "policies with nothing in it tests nothing. Leave it out, or name something.")
	}
	var out []policies.Source
	for _, e := range v.AsValueSlice() {
		if e.IsNull() {
			d.fail(a.Expr.Range(), "Wrong type", "Every element of policies must be the name of a file, not null.")
			continue
		}
		if s := d.named(e.AsString(), a.Expr.Range()); s != nil {
			out = append(out, policies.Source{Name: s.name, Bytes: s.bytes})
		}
	}
	return out
}

func (d *decoder) test(b *hcl.Block, shared map[string]policies.Given) test {
	content := d.content(b.Body, testSchema)
	a := content.Attributes
	t := test{
		name: b.Labels[0], at: b.DefRange,
		example: d.oneOf(a["example"], "breaks", "holds"),
		job:     d.text(b.Labels[0], a, "job", "file"),
		live:    d.text(b.Labels[0], a, "live", "live_file"),
		fixed:   d.text(b.Labels[0], a, "fixed", "fixed_file"),
		vars:    d.vars(a["vars"]),
		now:     d.day(a["now"]), err: d.part(a["error"]),
	}
	t.variables = merged(shared, d.givens(a["variables"]))
	for _, f := range content.Blocks {
		t.expected = append(t.expected, d.expectation(f))
	}
	d.sensible(t, a)
	return t
}

// sensible refuses tests that say nothing, or two things at once.
func (d *decoder) sensible(t test, a hcl.Attributes) {
	if a["error"] == nil && a["job"] == nil && a["file"] == nil {
		d.fail(t.at, "Nothing to test", "A test needs a job, in `job` or in a `file` of its own.")
	}
	if a["error"] != nil && (len(t.expected) > 0 || t.fixed != nil) {
		d.fail(a["error"].NameRange, "Error beside findings", "Where an error is expected there are no findings and no fixed text. Make two tests of it.")
	}
	switch {
	case t.example == "holds" && len(t.expected) > 0:
		d.fail(a["example"].Expr.Range(), "An example that holds has no findings", `Say example = "breaks", or take the findings out.`)
	case t.example == "breaks" && len(t.expected) == 0 && a["error"] == nil:
		d.fail(a["example"].Expr.Range(), "An example that breaks has findings", `Say example = "holds", or add the findings.`)
	}
}

func (d *decoder) expectation(b *hcl.Block) expectation {
	a := d.content(b.Body, findingSchema).Attributes
	return expectation{
		at: b.DefRange, rule: b.Labels[0],
		policy: d.part(a["policy"]), enforce: d.oneOf(a["enforce"], string(policies.Deny), string(policies.Warn)), message: d.part(a["message"]),
		line: d.position(a["line"]), column: d.position(a["column"]),
		fixable: d.boolean(a["fixable"]), excepted: d.boolean(a["excepted"]),
	}
}

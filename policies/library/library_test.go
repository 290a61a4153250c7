package library_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
	"nomad-reconcile/policies/library"
	"nomad-reconcile/reconcile/policytest"
	"nomad-reconcile/state/jobspec"
)

var day = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

// load is the library's policy of that name, as it is without values of one's own.
func load(t *testing.T, name string) *policies.Set {
	t.Helper()
	src, ok := library.Policy(name)
	if !ok {
		t.Fatalf("no policy %q", name)
	}
	set, diags := policies.Load([]policies.Source{{Name: library.File(name), Bytes: src}}, policies.Options{Now: day})
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	return set
}

// Every file holds one policy of its name that says what it is for, and why.
func TestEveryPolicyExplainsItself(t *testing.T) {
	t.Parallel()
	if n := len(library.Names()); n < 12 {
		t.Errorf("only %d policies", n)
	}
	for _, name := range library.Names() {
		set := load(t, name)
		if len(set.Policies()) != 1 || set.Policies()[0].Name != name {
			t.Errorf("%s holds %v", name, set.Policies())
			continue
		}
		p := set.Policies()[0]
		if p.Description == "" || strings.Count(p.Why, ".") < 2 {
			t.Errorf("%s does not say what or why", name)
		}
		for _, r := range p.Rules {
			if r.Assert != "" && r.Description == "" {
				t.Errorf("%s/%s has no description", name, r.ID)
			}
		}
		for _, v := range set.Variables() {
			if v.Description == "" || v.Type == "any" {
				t.Errorf("%s: variable %s has no description or type", name, v.Name)
			}
		}
		breaks, holds, diags := policytest.Examples(library.Files(), library.Tests(name))
		if diags.HasErrors() || breaks == "" || holds == "" {
			t.Errorf("%s has no examples: %v", name, diags)
		}
	}
}

// All tests of the library pass and see each rule from both sides.
func TestPolicies(t *testing.T) {
	t.Parallel()
	for _, name := range library.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, diags := policytest.Run(library.Files(), library.Tests(name), policytest.Options{Now: day})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			for _, test := range r.Tests {
				for _, f := range test.Failures {
					t.Errorf("%s: %s: %s\n%s%v", f.Place, test.Name, f.Message, f.Diff, f.Diagnostics)
				}
			}
			for _, rule := range r.Rules {
				if !rule.Covered() && rule.ID != "sudo.cannot_tell" {
					t.Errorf("%s is not seen from both sides: %+v", rule.ID, rule)
				}
			}
		})
	}
}

// testBlock is a test of the library, read past policytest.
type testBlock struct {
	name      string
	job       *api.Job
	variables map[string]policies.Given
	findings  []string // their rules
	fixed     string
}

func testBlocks(t *testing.T, name string) []testBlock {
	t.Helper()
	src, err := fs.ReadFile(library.Files(), library.Tests(name))
	if err != nil {
		t.Fatal(err)
	}
	file, diags := hclsyntax.ParseConfig(src, library.Tests(name), hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	var out []testBlock
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		value := func(name string) cty.Value {
			if a := b.Body.Attributes[name]; a != nil {
				v, _ := a.Expr.Value(nil)
				return v
			}
			return cty.StringVal("")
		}
		test := testBlock{name: b.Labels[0], fixed: value("fixed").AsString(), variables: map[string]policies.Given{}}
		for _, f := range b.Body.Blocks {
			test.findings = append(test.findings, f.Labels[0])
		}
		if v := value("variables"); v.Type() != cty.String {
			for key, value := range v.AsValueMap() {
				test.variables[key] = policies.Given{Value: value}
			}
		}
		test.job = parse(t, value("job").AsString())
		out = append(out, test)
	}
	return out
}

func parse(t *testing.T, src string) *api.Job {
	t.Helper()
	f, diags := jobspec.Parse("job.hcl", []byte(src), jobspec.Inputs{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return f.Job
}

// Every rule with a fix has a test that compares the whole file after it, and none
// of what was found there is found in the result.
func TestFixes(t *testing.T) {
	t.Parallel()
	fixes := 0
	for _, name := range library.Names() {
		set := load(t, name)
		mended := map[string]bool{}
		for _, test := range testBlocks(t, name) {
			if test.fixed == "" {
				continue
			}
			v, diags := set.Check(policies.FileSide, parse(t, test.fixed), nil)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			for _, f := range v.Findings {
				if f.Fixable() {
					t.Errorf("%s: %s: %s is still there", name, test.name, f.Rule)
				}
			}
			for _, rule := range test.findings {
				mended[rule] = !slices.ContainsFunc(v.Findings, func(f policies.Finding) bool { return f.Rule == rule })
			}
		}
		for _, r := range set.Policies()[0].Rules {
			if r.Fix {
				fixes++
				if !mended[r.ID] {
					t.Errorf("no test shows what the fix of %s/%s does", name, r.ID)
				}
			}
		}
	}
	if fixes < 5 {
		t.Errorf("only %d rules have a fix", fixes)
	}
}

// The table of README.md has a row for each policy: its name, description, rules,
// variables, and whether it mends.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile("(?m)^\\| `[a-z-]+` \\|.*$").FindAllString(string(text), -1)
	var want []string
	for _, name := range library.Names() {
		want = append(want, row(load(t, name)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("README.md (-library +README):\n%s", diff)
	}
}

func row(s *policies.Set) string {
	p := s.Policies()[0]
	var rules, fixed, vars []string
	for _, r := range p.Rules {
		id := strings.TrimPrefix(r.ID, "rule.")
		if rules = append(rules, "`"+id+"`"); r.Fix {
			fixed = append(fixed, "`"+id+"`")
		}
	}
	for _, v := range s.Variables() {
		vars = append(vars, "`"+v.Name+"`")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s | %s |", p.Name, p.Description, strings.Join(rules, ", "), strings.Join(fixed, ", "), strings.Join(vars, ", "))
}

func TestUnknown(t *testing.T) {
	t.Parallel()
	if _, ok := library.Policy("nothing"); ok {
		t.Error("there is a policy nothing")
	}
	if names := library.Names(); !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("names %v", names)
	}
}

// What Nomad gives back, with its defaults filled in and through JSON, is judged
// like the file.
func TestLiveJobs(t *testing.T) {
	t.Parallel()
	rules := func(v policies.Verdict) []string {
		var out []string
		for _, f := range v.Findings {
			out = append(out, f.Rule)
		}
		return out
	}
	for _, name := range library.Names() {
		src, _ := library.Policy(name)
		for _, test := range testBlocks(t, name) {
			set, diags := policies.Load([]policies.Source{{Name: name, Bytes: src}}, policies.Options{Now: day, Vars: test.variables})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			file, diags := set.Check(policies.FileSide, test.job, nil)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			live, diags := set.Check(policies.LiveSide, registered(t, test.job), nil)
			if diags.HasErrors() {
				t.Errorf("%s: %s: %s", name, test.name, diags)
			}
			if diff := cmp.Diff(rules(file), rules(live)); diff != "" {
				t.Errorf("%s: %s (-file +live):\n%s", name, test.name, diff)
			}
		}
	}
}

func registered(t *testing.T, j *api.Job) *api.Job {
	t.Helper()
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	var out api.Job
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	out.Canonicalize()
	return &out
}

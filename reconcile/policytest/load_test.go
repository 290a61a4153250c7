package policytest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/reconcile/policytest"
)

// mistakes are test files with all that is said about them.
var mistakes = map[string]struct {
	src  string
	want []string
}{
	"syntax": {"test \"x\" {", []string{"1:10: Unclosed configuration block"}},
	"empty":  {"", []string{"1:1: No tests"}},
	"typos, all in one go": {`polcies = []
tets "a" {}
test "b" {
  jbo = ""
  job = "job \"x\" {}"
  findng "rule.r" {}
  finding "rule.r" {
    lin = 1
  }
}`, []string{"1:1: Unsupported argument", "2:1: Unsupported block type", "4:3: Unsupported argument", "6:3: Unsupported block type", "8:5: Unsupported argument"}},
	"wrong types": {`policies  = "x.policy.hcl"
variables = 5
test "a" {
  example = "brakes"
  job     = 5
  vars    = { a = null }
  now     = "soon"
  finding "rule.r" {
    line     = 1.5
    column   = "x"
    policy   = []
    enforce  = "dney"
    fixable  = "perhaps"
    excepted = null
  }
}`, []string{"1:13: Wrong type", "2:13: Wrong type", "4:13: Unknown value", "7:13: Not a date", "9:16: Not a position", "10:16: Wrong type", "11:16: Wrong type", "12:16: Unknown value", "13:16: Wrong type", "14:16: Wrong type"}},
	"names of nothing": {`policies = [a.b]
test "a" {
  job   = upper("x")
  fixed = <<EOT
%{ if true }x%{ endif }
EOT
}`, []string{"1:13: Variables not allowed", "3:11: Function calls not allowed", "5:1: Directive in a text"}},
	"files that are not there": {`policies = ["x.policy.hcl", "y.policy.hcl"]
test "a" {
  file      = "web.nomad.hcl"
  live_file = "../../etc/web.nomad.hcl"
}`, []string{"1:12: File cannot be read", "3:15: File cannot be read", "4:15: File cannot be read"}},
	"no policies":     {"policies = []\ntest \"a\" {\n  job = \"\"\n}", []string{"1:12: Empty list"}},
	"nothing to test": {"test \"a\" {\n}", []string{"1:1: Nothing to test"}},
	"said twice": {`test "a" {
  job        = ""
  file       = "x.policy.hcl"
  fixed      = ""
  fixed_file = "x.policy.hcl"
}
test "a" {
  job = ""
}`, []string{"3:3: Said twice", "5:3: Said twice", "7:6: Duplicate test"}},
	"error and findings": {"test \"a\" {\n  job = \"\"\n  error = \"x\"\n  finding \"rule.r\" {}\n}", []string{"3:3: Error beside findings"}},
	"empty parts":        {"test \"a\" {\n  error = \"\"\n}\ntest \"b\" {\n  job = \"\"\n  finding \"r\" {\n    message = \"\"\n  }\n}", []string{"2:11: Empty string", "7:15: Empty string"}},
	"examples that are none": {`test "a" {
  example = "holds"
  job     = ""
  finding "rule.r" {}
}
test "b" {
  example = "breaks"
  job     = ""
}`, []string{"2:13: An example that holds has no findings", "7:13: An example that breaks has findings"}},
}

func load(src string) (policytest.Result, hcl.Diagnostics) {
	return policytest.Run(fstest.MapFS{
		"x.policy.hcl":     {Data: []byte(policy)},
		"x.policytest.hcl": {Data: []byte(src)},
	}, "x.policytest.hcl", policytest.Options{})
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for name, tc := range mistakes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, diags := load(tc.src)
			var got []string
			for _, d := range diags {
				got = append(got, fmt.Sprintf("%d:%d: %s", d.Subject.Start.Line, d.Subject.Start.Column, d.Summary))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(r.Tests) > 0 || r.Sources["x.policytest.hcl"] == nil {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestFilesThatAreNotThere(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{"x.policytest.hcl": {Data: []byte("test \"a\" {\n  job = \"\"\n}")}}
	for name, want := range map[string]string{"x.policytest.hcl": "No policy to test", "y.policytest.hcl": "Test file cannot be read"} {
		_, diags := policytest.Run(fsys, name, policytest.Options{})
		if len(diags) != 1 || diags[0].Summary != want {
			t.Errorf("%s: %v", name, diags)
		}
		if _, _, diags := policytest.Examples(fsys, name); len(diags) != 1 {
			t.Errorf("%s: %v", name, diags)
		}
	}
}

// FuzzLoad: nothing panics, and mistakes point into what was read.
func FuzzLoad(f *testing.F) {
	for _, tc := range mistakes {
		f.Add(tc.src)
	}
	f.Add("test \"a\" {\n" + attr("job", jobText("web", "a:latest", 900)) + "vars = { a = [1] }\nfinding \"rule.memory\" {\n line = 9\n}\n" + attr("fixed", jobText("web", "a", 512)) + "}\n")
	f.Fuzz(func(t *testing.T, src string) {
		r, diags := load(src)
		for _, test := range r.Tests {
			for _, failure := range test.Failures {
				diags = append(diags, failure.Diagnostics...)
			}
		}
		for _, d := range diags {
			if d.Subject == nil || strings.HasPrefix(d.Subject.Filename, "-var ") {
				continue
			}
			if file := r.Sources[d.Subject.Filename]; file == nil || !d.Subject.CanSliceBytes(file.Bytes) {
				t.Errorf("%s points nowhere: %v", d.Summary, d.Subject)
			}
		}
	})
}

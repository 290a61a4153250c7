package policytest_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/reconcile/policytest"
)

const policy = `variable "cap" {
  type    = number
  default = 512
}
policy "tasks" {
  rule "pinned" {
    assert  = !endswith(task.config.image, ":latest")
    message = "pin ${task.config.image}"
  }
  rule "memory" {
    assert = task.resources.memory <= var.cap
    fix {
      path  = task.resources.memory
      value = var.cap
    }
  }
  rule "smaller" {
    enforce = "warn"
    when    = live != null
    assert  = task.resources.memory <= try(live.group["g"].task["t"].resources.memory, 0)
  }
  exception {
    job     = ["old"]
    rule    = ["pinned"]
    reason  = "moves"
    expires = "2027-01-31"
  }
}
`

func jobText(name, image string, memory int) string {
	return fmt.Sprintf(`job "%s" {
  group "g" {
    task "t" {
      driver = "docker"
      config {
        image = "%s" # ${NOMAD_ALLOC_ID} %s
      }
      resources {
        memory   =   %d   # as it stands
      }
    }
  }
}
`, name, image, "环境", memory)
}

func attr(name, value string) string { return fmt.Sprintf("%s = <<EOT\n%sEOT\n", name, value) }

// run runs one test with this body; what fails is a line each, with its line in the
// test file.
func run(t *testing.T, body string) []string {
	t.Helper()
	src := "test \"it\" {\n" + body + "\n}\n"
	fsys := fstest.MapFS{
		"p/x.policy.hcl":     {Data: []byte(policy)},
		"p/x.policytest.hcl": {Data: []byte(src)},
		"p/web.nomad.hcl":    {Data: []byte(jobText("web", "a:latest", 100))},
		"p/mended.hcl":       {Data: []byte(jobText("web", "a:1", 512))},
	}
	r, diags := policytest.Run(fsys, "p/x.policytest.hcl", policytest.Options{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, src)
	}
	out := []string{}
	for _, f := range r.Tests[0].Failures {
		line := fmt.Sprintf("%s:%d:%d: %s", strings.TrimPrefix(f.Place.Filename, "p/"), f.Place.Start.Line, f.Place.Start.Column, f.Message)
		for _, d := range f.Diagnostics {
			line += "; " + d.Summary
		}
		out = append(out, line)
	}
	return out
}

func TestRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want []string
	}{
		"nothing found, nothing expected": {attr("job", jobText("web", "a:1", 100)), nil},
		"found as expected": {attr("job", jobText("web", "a:latest", 100)) +
			"finding \"rule.pinned\" {\nline = 6\ncolumn = 17\npolicy = \"tasks\"\nenforce = \"deny\"\nmessage = \"pin a\"\nfixable = false\nexcepted = false\n}", nil},
		"the prefix may be left out": {attr("job", jobText("web", "a:latest", 100)) + `finding "pinned" {}`, nil},
		"not expected": {attr("job", jobText("web", "a:latest", 100)), []string{
			"x.policytest.hcl:8:17: rule.pinned (tasks, deny) was found, but no finding block expects it",
		}},
		"not expected, in a file": {`file = "web.nomad.hcl"`, []string{
			"web.nomad.hcl:6:17: rule.pinned (tasks, deny) was found, but no finding block expects it",
		}},
		"not found": {attr("job", jobText("web", "a:1", 100)) + "finding \"rule.pinned\" {\nline = 6\n}", []string{
			"x.policytest.hcl:17:1: rule.pinned was expected at line 6, but not found",
		}},
		"no such rule": {attr("job", jobText("web", "a:1", 100)) + `finding "rule.pined" {}`, []string{
			`x.policytest.hcl:17:1: the policies have no rule "rule.pined". Did you mean "rule.pinned"?`,
		}},
		"found otherwise": {attr("job", jobText("web", "a:latest", 100)) +
			"finding \"rule.pinned\" {\nline = 7\ncolumn = 1\npolicy = \"p\"\nenforce = \"warn\"\nmessage = \"nail\"\nfixable = true\nexcepted = true\n}", []string{
			`x.policytest.hcl:17:1: rule.pinned was found, but line is 6, not 7, and column is 17, not 1, and policy is tasks, not p, ` +
				`and enforce is deny, not warn, and fixable is false, not true, and excepted is false, not true, and its message does not say "nail"`,
		}},
		"each finding is expected once": {attr("job", jobText("web", "a:latest", 100)) + "finding \"rule.pinned\" {}\nfinding \"rule.pinned\" {}", []string{
			"x.policytest.hcl:18:1: rule.pinned was expected, but not found",
		}},
		"the fix, although the policy does not ask for it": {
			attr("job", jobText("web", "a:1", 900)) + "finding \"rule.memory\" {\nfixable = false\n}\n" + attr("fixed", jobText("web", "a:1", 512)), nil},
		"the fixed text in a file": {attr("job", jobText("web", "a:1", 900)) + "finding \"rule.memory\" {}\nfixed_file = \"mended.hcl\"", nil},
		"another fixed text": {attr("job", jobText("web", "a:1", 900)) + "finding \"rule.memory\" {}\n" + attr("fixed", jobText("web", "a:1", 511)), []string{
			"x.policytest.hcl:18:9: the fixed text is not the expected one",
		}},
		"nothing to fix": {attr("job", jobText("web", "a:1", 100)) + attr("fixed", jobText("web", "a:1", 511)), []string{
			"x.policytest.hcl:17:9: the fixed text is not the expected one",
		}},
		"variables of the policies": {attr("job", jobText("web", "a:1", 900)) + "variables = { cap = 1000 }", nil},
		"variables of the job":      {attr("job", "variable \"tag\" {}\n"+jobText("web", "a:${var.tag}", 100)) + "vars = { tag = \"1\" }", nil},
		"a live job":                {attr("job", jobText("web", "a:1", 200)) + attr("live", jobText("web", "a:1", 100)) + `finding "rule.smaller" {}`, nil},
		"an exception":              {attr("job", jobText("old", "a:latest", 100)) + "finding \"rule.pinned\" {\nexcepted = true\n}", nil},
		"an exception on another day": {attr("job", jobText("old", "a:latest", 100)) +
			"now = \"2027-02-01\"\nfinding \"rule.pinned\" {\nexcepted = false\n}\nfinding \"exception.expired\" {}", nil},
		"an error of the policies":      {"variables = { cap = [] }\nerror = \"number required\"", nil},
		"an error of the policies, not": {"variables = { cap = 5 }\nerror = \"number required\"", []string{"x.policytest.hcl:1:1: expected the error \"number required\", but there is none"}},
		"another error": {"variables = { cap = [] }\nerror = \"string required\"", []string{
			`x.policytest.hcl:1:1: expected the error "string required", but the policies do not load; Wrong type`,
		}},
		"an error of the job": {attr("job", "job \"x\" {\n  grup \"g\" {}\n}\n") + `error = "Did you mean"`, nil},
		"an error that nobody expects": {attr("job", "job \"x\" {\n  grup \"g\" {}\n}\n"), []string{
			"x.policytest.hcl:1:1: the job does not parse; Unsupported block",
		}},
		"a rule that cannot be evaluated": {attr("job", "job \"x\" {\n  group \"g\" {\n    task \"t\" {\n driver = \"docker\"\n }\n  }\n}\n"), []string{
			"x.policytest.hcl:1:1: the policies cannot be evaluated for this job; Unsupported attribute",
		}},
		"a fix that cannot be made": {attr("job", strings.Replace(jobText("web", "a:1", 900), "900", "400 + 500", 1)) + "finding \"rule.memory\" {}\n" + attr("fixed", ""), []string{
			"x.policytest.hcl:18:9: the fixes cannot be made: ",
		}},
		"a fix that cannot be made in this text": {attr("job", strings.Replace(jobText("web", "a:1", 900), "900", "400 + 500", 1)) + "finding \"rule.memory\" {}", nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, tc.body)
			for i := range got {
				if i < len(tc.want) && strings.HasSuffix(tc.want[i], ": ") { // the rest is another room's to say
					got[i] = got[i][:min(len(got[i]), len(tc.want[i]))]
				}
			}
			if diff := cmp.Diff(append([]string{}, tc.want...), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Two policies, each with a fix that is right by itself, where one makes the other useless.
func TestFixesThatDisagree(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"a.policy.hcl": {Data: []byte(`policy "a" {
  rule "cpu" {
    assert = task.resources.cpu >= 100
    fix {
      path  = task.resources.cpu
      value = 100
    }
  }
}
policy "b" {
  rule "sum" {
    assert = task.resources.cpu + task.resources.memory <= 140
    fix {
      path  = task.resources.memory
      value = 140 - task.resources.cpu
    }
  }
}`)},
		"a.policytest.hcl": {Data: []byte("test \"it\" {\n" + attr("job", "job \"j\" {\n group \"g\" {\n task \"t\" {\n driver = \"x\"\n resources {\n cpu = 50\n memory = 100\n}\n}\n}\n}\n") +
			"finding \"rule.cpu\" {}\nfinding \"rule.sum\" {}\n}\n")},
	}
	r, diags := policytest.Run(fsys, "a.policytest.hcl", policytest.Options{})
	if diags.HasErrors() || len(r.Tests[0].Failures) != 1 || !strings.Contains(r.Tests[0].Failures[0].Message, "the fix of rule.sum (b) does not mend it") {
		t.Errorf("%v %+v", diags, r.Tests)
	}
}

func TestCoverage(t *testing.T) {
	t.Parallel()
	fsys := fstest.MapFS{
		"x.policy.hcl": {Data: []byte(policy + "policy \"shells\" {\n match {\n  driver = [\"exec\"]\n }\n sudo {\n  preserve_env = false\n }\n env {\n  required = [\"A\"]\n }\n}\n")},
		"x.policytest.hcl": {Data: []byte("test \"a\" {\n" + attr("job", jobText("web", "a:latest", 100)) + "finding \"pinned\" {}\n}\n" +
			"test \"b\" {\n" + attr("job", jobText("web", "a:1", 100)) + "}\n")},
	}
	all, diags := policytest.Run(fsys, "x.policytest.hcl", policytest.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	one, _ := policytest.Run(fsys, "x.policytest.hcl", policytest.Options{Only: regexp.MustCompile("^a$")})
	want := []string{
		"tasks rule.pinned true true", "tasks rule.memory false true", "tasks rule.smaller false true",
		"shells sudo.preserve_env false false", "shells env.block false false", "shells env.required false false",
	}
	var got []string
	for _, r := range policytest.Rules([]policytest.Result{one, all}) {
		got = append(got, fmt.Sprint(r.Policy, " ", r.ID, " ", r.Found, " ", r.Holds))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(one.Tests) != 1 || len(all.Tests) != 2 || one.Rules[0].Covered() || !all.Rules[0].Covered() {
		t.Errorf("%+v %+v", one, all)
	}
}

func TestExamples(t *testing.T) {
	t.Parallel()
	breaks, holds := jobText("web", "a:latest", 100), jobText("web", "a:1", 100)
	fsys := fstest.MapFS{
		"x.policy.hcl": {Data: []byte(policy)},
		"x.policytest.hcl": {Data: []byte("test \"a\" {\n" + attr("job", holds) + "}\ntest \"b\" {\nexample = \"holds\"\n" + attr("job", holds) + "}\n" +
			"test \"c\" {\nexample = \"breaks\"\n" + attr("job", breaks) + "finding \"pinned\" {}\n}\n")},
	}
	gotBreaks, gotHolds, diags := policytest.Examples(fsys, "x.policytest.hcl")
	if gotBreaks != breaks || gotHolds != holds || diags.HasErrors() {
		t.Errorf("%q %q %v", gotBreaks, gotHolds, diags)
	}
}

package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
)

func explanation() Explanation {
	return Explanation{
		Info: policies.Info{
			Name: "images", Description: strings.Repeat("many words ", 20), Why: strings.Repeat("many reasons ", 20),
			Rules: []policies.RuleInfo{{
				ID: "rule.pinned", Description: strings.Repeat("what it wants ", 9), Scope: "task", Enforce: policies.Deny, Fix: true,
				When: `task.driver == "docker"`, Assert: strings.Repeat("a && ", 30) + `matches("password=hunter2 [a-z]+", b)`, Message: "\"\x1b[31m\"",
			}},
		},
		Variables: []policies.VariableInfo{{Name: "a_list", Description: "of names", Type: "list(string)", Value: cty.ListVal([]cty.Value{cty.StringVal("x")})}},
		Library:   true, Breaks: "job \"a\" {\n\n}\n", Holds: "job \"b\" {}\n",
	}
}

// Text keeps within the terminal, and control characters do not reach it; what is
// written in a policy is shown as it is.
func TestExplain(t *testing.T) {
	t.Parallel()
	for _, width := range []int{80, 140} {
		var out bytes.Buffer
		e := explanation()
		Explain(&out, e, e.Rules, Style{Width: width})
		for line := range strings.Lines(out.String()) {
			if n := cells(strings.TrimRight(line, "\n")); n > width {
				t.Errorf("%d columns in %d: %s", n, width, line)
			}
		}
		for _, want := range []string{
			"images  of the library, not in use\n", `password=hunter2 [a-z]+`, `\u001b`, "rule.pinned  each task, deny, has a fix\n",
			"    job \"a\" {\n\n    }\n", "    library \"images\" {\n      a_list = [\"x\"]\n    }\n", `rule    = ["pinned"]`, `default  ["x"]`,
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %q in\n%s", want, out.String())
			}
		}
		if strings.Contains(out.String(), "\x1b") {
			t.Error("a control character came through")
		}
	}
	var out bytes.Buffer
	e := explanation()
	e.Library, e.Use, e.File, e.Breaks, e.Holds = false, true, "policies/images.policy.hcl", "", ""
	Explain(&out, e, e.Rules, Style{Color: true, Width: 80})
	if s := out.String(); !strings.Contains(s, "\x1b[1mimages\x1b[0m") || strings.Contains(s, "example") || strings.Contains(s, "library \"") || !strings.Contains(s, "policies/images.policy.hcl") {
		t.Errorf("got\n%s", s)
	}
}

func TestPolicyList(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	PolicyList(&out, []Explanation{
		{Info: policies.Info{Name: "lib", Description: strings.Repeat("word ", 30)}},
		{Info: policies.Info{Name: "longer-name"}, Use: true},
	}, Style{Width: 80})
	want := "In use:\n  longer-name\n\nIn the library, not in use:\n  lib          word word"
	if s := out.String(); !strings.HasPrefix(s, want) {
		t.Errorf("got\n%s", s)
	}
	for line := range strings.Lines(out.String()) {
		if cells(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("too long: %s", line)
		}
	}
}

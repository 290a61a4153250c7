package policies_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"nomad-reconcile/policies"
)

func waiver(jobs ...string) policies.Waiver {
	return policies.Waiver{Jobs: jobs, Rule: "sudo.preserve_env", Reason: "there before the policy", Expires: time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)}
}

const written = `  exception {
    job     = ["web"]
    rule    = ["sudo.preserve_env"]
    reason  = "there before the policy"
    expires = "2027-03-31"
  }
`

// Blocks are written at the end, in the file's style; the other bytes stay.
func TestAddExceptions(t *testing.T) {
	t.Parallel()
	tabbed := strings.ReplaceAll(strings.ReplaceAll("\n"+written, "\n    ", "\n\t\t"), "\n  ", "\n\t")[1:]
	tests := []struct{ name, src, want string }{
		{"after a block", "policy \"p\" {\n  sudo {\n  }\n} # end\n", "policy \"p\" {\n  sudo {\n  }\n\n" + written + "} # end\n"},
		{"after a blank line", "policy \"p\" {\n  sudo {\n  }\n\n}\n", "policy \"p\" {\n  sudo {\n  }\n\n" + written + "}\n"},
		{"of several", "policy \"a\" {\n}\npolicy \"p\" {\n  fix = true\n}\npolicy \"b\" {\n}", "policy \"a\" {\n}\npolicy \"p\" {\n  fix = true\n\n" + written + "}\npolicy \"b\" {\n}"},
		{"empty", "policy \"p\" {\n}\n", "policy \"p\" {\n" + written + "}\n"},
		{"empty in one line", "policy \"p\" {}\n", "policy \"p\" {\n" + written + "}\n"},
		{"in one line", "policy \"p\" { fix = true }\n", "policy \"p\" {\n  fix = true\n\n" + written + "}\n"},
		{"tabs", "policy \"p\" {\n\tfix = true\n}\n", "policy \"p\" {\n\tfix = true\n\n" + tabbed + "}\n"},
		{"CRLF and BOM", "\ufeffpolicy \"p\" {\r\n  fix = true\r\n}\r\n", "\ufeffpolicy \"p\" {\r\n  fix = true\r\n\r\n" + strings.ReplaceAll(written, "\n", "\r\n") + "}\r\n"},
		{"a comment before the brace", "policy \"p\" {\n  fix = true\n  /* c */ }\n", "policy \"p\" {\n  fix = true\n  /* c */\n\n" + written + "}\n"},
		{"a comment at the end", "policy \"p\" {\n  fix = true\n  # c\n}\n", "policy \"p\" {\n  fix = true\n  # c\n\n" + written + "}\n"},
		{"braces in strings", "policy \"p\" {\n  description = \"}\"\n  why = <<E\n}\nE\n}\n", "policy \"p\" {\n  description = \"}\"\n  why = <<E\n}\nE\n\n" + written + "}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := policies.AddExceptions([]byte(tt.src), "policy", "p", []policies.Waiver{waiver("web")})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, string(got)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAddExceptionsForMoreThanWasMeant(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"x*", "a?b"} {
		got, err := policies.AddExceptions([]byte("policy \"p\" {\n}\n"), "policy", "p", []policies.Waiver{waiver("web", id)})
		if err == nil || got != nil || !strings.Contains(err.Error(), id) {
			t.Errorf("%s: %q, %v", id, got, err)
		}
	}
}

// What is written is formatted as HCL's own formatter would, and quoted.
func TestAddExceptionsFormatted(t *testing.T) {
	t.Parallel()
	odd := waiver("a")
	odd.Namespace, odd.Reason = "prod", "say \"why\" ${not} 原因\n%{x}"
	var many []string
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		many = append(many, "team-"+string(c))
	}
	got, err := policies.AddExceptions([]byte("policy \"p\" {\n  sudo {\n    preserve_env = false\n  }\n}\n"), "policy", "p", []policies.Waiver{waiver("web", "a/b"), odd, waiver(many...)})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(hclwrite.Format(got)), string(got)); d != "" {
		t.Error(d)
	}
	set, diags := policies.Load([]policies.Source{{Name: "p", Bytes: got}}, policies.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	all := set.Exceptions()
	if len(all) != 3 || all[1].Reason != odd.Reason || !all[2].Expires.Equal(odd.Expires) {
		t.Errorf("read back: %+v", all)
	}
}

func TestAddExceptionsNowhere(t *testing.T) {
	t.Parallel()
	for _, src := range []string{"", "policy \"q\" {\n}\n", "policy \"p\" {"} {
		if got, err := policies.AddExceptions([]byte(src), "policy", "p", []policies.Waiver{waiver("web")}); err == nil {
			t.Errorf("%q became %q", src, got)
		}
	}
}

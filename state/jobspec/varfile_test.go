package jobspec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

const variedJob = `variable "s" {
  type = string
  default = "-"
}
variable "n" {
  type = number
  default = 0
}
variable "b" {
  type = bool
  default = false
}
variable "any" {
  default = "-"
}
variable "untyped" {}
variable "l" {
  type = list(string)
  default = []
}
variable "set" {
  type = set(string)
  default = []
}
variable "m" {
  type = map(string)
  default = {}
}
variable "o" {
  type = object({ a = number, b = list(string) })
  default = { a = 0, b = [] }
}
job "j" {
  meta {
    all = jsonencode([var.s, var.n, var.b, var.any, var.untyped, var.l, var.set, var.m, var.o])
  }
  group "g" {
    task "t" {
      driver = "raw_exec"
    }
  }
}
`

// Whatever was given to a job, the variable file gives it alone.
func TestVarFileGivesTheSame(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		flags     map[string]string
		variables string
		want      string
	}{
		"nothing but what must be": {map[string]string{"untyped": "x"}, "", "untyped = \"x\"\n"},
		"a text for a number":      {map[string]string{"untyped": "1", "n": "3.50", "s": "3.50"}, "", "n = 3.5\ns = \"3.50\"\nuntyped = \"1\"\n"},
		"quotes and templates":     {map[string]string{"untyped": "a \"b\" ${c} %{d} \\ \n\t 中文"}, "", `untyped = "a \"b\" $${c} %%{d} \\ \n\t 中文"` + "\n"},
		"expressions": {
			map[string]string{"untyped": "", "b": "true", "l": `["a", "${1}"]`, "set": `["b", "a"]`, "m": `{ "x y" = "1", z = "2" }`, "o": `{ a = 1, b = ["c"] }`}, "",
			"b = true\nl = [\"a\", \"1\"]\nm = { \"x y\" = \"1\", z = \"2\" }\no = { a = 1, b = [\"c\"] }\nset = [\"a\", \"b\"]\nuntyped = \"\"\n",
		},
		"the text as it is":         {nil, "# mine\nuntyped   = \"x\" # here\r\nl = [\n]", "# mine\nuntyped   = \"x\" # here\r\nl = [\n]"},
		"text and flags":            {map[string]string{"s": "y"}, "untyped = 1", "untyped = 1\ns = \"y\"\n"},
		"a flag wins over the text": {map[string]string{"s": "y"}, "s = \"x\"\nuntyped = 1\n", "\nuntyped = 1\ns = \"y\"\n"},
		"JSON as it is":             {nil, `{"untyped": "x"}`, `{"untyped": "x"}`},
		"JSON and flags":            {map[string]string{"s": "y"}, `{"untyped": "x", "s": "z"}`, "untyped = \"x\"\ns = \"y\"\n"},
		"names of other jobs":       {map[string]string{"other": "1", "untyped": "x"}, "", "untyped = \"x\"\n"},
		"null":                      {map[string]string{"untyped": "x", "l": "null"}, "", "l = null\nuntyped = \"x\"\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sub := &api.JobSubmission{Source: variedJob, Format: "hcl2", VariableFlags: tc.flags, Variables: tc.variables}
			f, diags := jobspec.ParseSubmission(sub)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			text, undeclared, err := f.VarFile(sub)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, string(text)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if got := strings.Join(undeclared, ","); got != map[bool]string{true: "other"}[tc.flags["other"] != ""] {
				t.Errorf("left out: %s", got)
			}
			again, diags := jobspec.Parse("j.nomad.hcl", []byte(variedJob), jobspec.Inputs{VarFiles: []jobspec.VarFile{{Name: "j.vars.hcl", Bytes: text}}})
			if diags.HasErrors() || !job.Equal(f.Job, again.Job) {
				t.Errorf("%s gives another job: %v", text, diags)
			}
		})
	}
}

func TestVarFileWithoutValues(t *testing.T) {
	t.Parallel()
	sub := &api.JobSubmission{Source: strings.Replace(variedJob, `variable "untyped" {}`, `variable "untyped" { default = 1 }`, 1)}
	f, diags := jobspec.ParseSubmission(sub)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if text, _, err := f.VarFile(sub); len(text) > 0 || err != nil {
		t.Errorf("%q, %v", text, err)
	}
}

package jobspec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/jobspec"
)

func TestIsJob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, src string
		want      bool
	}{
		{"job", "job \"a\" {\n}\n", true},
		{"behind variables", "variable \"a\" {}\n\njob \"a\" {}\n", true},
		{"indented", "  job \"a\" {}\n", true},
		{"unquoted label", "job a {}\n", true},
		{"BOM", "\uFEFFjob \"a\" {}\n", true},
		{"CRLF", "variables {\r\n}\r\njob \"a\" {\r\n}\r\n", true},
		{"broken inside", "job \"a\" {\n  type = \n", true},
		{"broken before", "locals {\n  a = }\n}\njob \"a\" {\n}\n", true},
		{"behind a heredoc", "locals {\n  a = <<EOT\nx\nEOT\n}\njob \"a\" {}\n", true},
		{"JSON", `{"Job": {"ID": "a"}}`, true},
		{"empty", "", false},
		{"variable file", "image = \"x\"\njob = \"y\"\n", false},
		{"policy", "policy \"a\" {\n  match {\n    job = [\"x\"]\n  }\n}\n", false},
		{"gate named job in a rollout", "rollout \"a\" {\n  job \"x\" {\n  }\n}\n", false},
		{"inside a heredoc", "resource \"nomad_job\" \"x\" {\n  jobspec = <<EOT\njob \"x\" {\n}\nEOT\n}\n", false},
		{"in a comment", "/*\njob \"x\" {\n}\n*/\na = 1\n", false},
		{"JSON of something else", `{"a": 1}`, false},
	} {
		if got := jobspec.IsJob([]byte(c.src)); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}

func TestName(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"job \"a/b\" {\n": "a/b",
		"variable \"x\" {}\n\njob plain {\n  type = ": "plain",
		"\uFEFFjob \"a\" {}":                          "a",
		"group \"a\" {}":                              "",
	} {
		if got := jobspec.Name([]byte(src)); got != want {
			t.Errorf("%q: %q, want %q", src, got, want)
		}
	}
}

const oneVariable = `variable "a" {
  type    = string
  default = "default"
}
job "x" {
  meta = { a = var.a }
}
`

// TestVariablePrecedence takes the sources of a value away one after the other,
// the strongest first.
func TestVariablePrecedence(t *testing.T) {
	t.Parallel()
	file := func(name, value string) jobspec.VarFile {
		return jobspec.VarFile{Name: name, Bytes: []byte("a = \"" + value + "\"\n")}
	}
	in := jobspec.Inputs{
		Vars:     map[string]string{"a": "flag"},
		VarFiles: []jobspec.VarFile{file("one.hcl", "one"), file("two.hcl", "two")},
		Env:      []string{"PATH=/bin", "NOMAD_VAR_a=env", "NOMAD_VAR_other=x", "NOMAD_VAR_="},
		Live:     &api.JobSubmission{VariableFlags: map[string]string{"a": "live flag", "gone": "x"}, Variables: "a = \"live file\"\ngone = 1\n"},
	}
	for _, step := range []struct {
		value, origin string
		next          func()
	}{
		{"flag", "var", func() { in.Vars = nil }},
		{"two", "var_file two.hcl:1", func() { in.VarFiles = in.VarFiles[:1] }},
		{"one", "var_file one.hcl:1", func() { in.VarFiles = nil }},
		{"env", "NOMAD_VAR_a", func() { in.Env = nil }},
		{"live flag", "live submission", func() { in.Live.VariableFlags = nil }},
		{"live file", "live submission", func() { in.Live = nil }},
		{"default", "default", func() {}},
	} {
		f := parse(t, oneVariable, in)
		if f.Job.Meta["a"] != step.value || len(f.Variables) != 1 || f.Variables[0].Origin != step.origin || f.Variables[0].Value.AsString() != step.value {
			t.Errorf("want %s from %s, got %s, %+v", step.value, step.origin, f.Job.Meta["a"], f.Variables)
		}
		step.next()
	}
}

func TestSubmission(t *testing.T) {
	t.Parallel()
	src := `variable "image" { type = string }
variable "ports" { type = list(number) }
variable "on" {
  type    = bool
  default = true
}
job "x" {}
`
	for _, c := range []struct {
		name string
		in   jobspec.Inputs
		want api.JobSubmission
	}{
		{
			"files that say a name twice, or one that is not declared",
			jobspec.Inputs{
				Lenient: true,
				VarFiles: []jobspec.VarFile{
					{Name: "f", Bytes: []byte("on    = true # a\nimage = \"a\"\nother = [\n  1,\n]\n")},
					{Name: "g", Bytes: []byte("ports = [\n  1, # one\n]\nimage = <<EOT\nb\nEOT\n")},
				},
				Vars: map[string]string{"another": "x"}, Env: []string{"NOMAD_VAR_third=y"},
			},
			api.JobSubmission{VariableFlags: map[string]string{}, Variables: "image = <<EOT\nb\nEOT\non    = true\nports = [\n  1, # one\n]\n"},
		},
		{
			"a file that says what a flag gives as HCL, and one in JSON",
			jobspec.Inputs{
				Vars: map[string]string{"ports": "[1]"},
				VarFiles: []jobspec.VarFile{
					{Name: "f", Bytes: []byte("ports = [2]\n")},
					{Name: "g", Bytes: []byte(`{"image": "a\"${b}", "on": false}`)},
				},
			},
			api.JobSubmission{VariableFlags: map[string]string{}, Variables: "image = \"a\\\"$${b}\"\non = false\n\nports = [1]"},
		},
		{
			"flags, environment and a file",
			jobspec.Inputs{
				Vars: map[string]string{"image": "a", "ports": "[1, 2]"}, Env: []string{"NOMAD_VAR_on=false", "NOMAD_VAR_image=b"},
				VarFiles: []jobspec.VarFile{{Name: "f", Bytes: []byte("on = true")}},
			},
			api.JobSubmission{VariableFlags: map[string]string{"image": "a"}, Variables: "on = true\n\nports = [1, 2]"},
		},
		{
			"the live submission's are handed on",
			jobspec.Inputs{Live: &api.JobSubmission{VariableFlags: map[string]string{"image": "l"}, Variables: "ports = [3]\n"}, Vars: map[string]string{"on": "false"}},
			api.JobSubmission{VariableFlags: map[string]string{"image": "l", "on": "false"}, Variables: "ports = [3]\n"},
		},
		{
			"what else counts now is not",
			jobspec.Inputs{
				Live:     &api.JobSubmission{VariableFlags: map[string]string{"image": "l", "gone": "x"}, Variables: "ports = [3]\non = false\n"},
				VarFiles: []jobspec.VarFile{{Name: "f", Bytes: []byte("on = true\nimage = \"f\"\n")}},
			},
			api.JobSubmission{VariableFlags: map[string]string{}, Variables: "ports = [3]\n\non = true\nimage = \"f\"\n\n"},
		},
	} {
		c.want.Source, c.want.Format = src, "hcl2"
		f := parse(t, src, c.in)
		if diff := cmp.Diff(&c.want, f.Submission); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		again := parse(t, src, jobspec.Inputs{
			Vars: f.Submission.VariableFlags, VarFiles: []jobspec.VarFile{{Name: "v", Bytes: []byte(f.Submission.Variables)}},
		})
		for i, v := range again.Variables {
			if !v.Value.RawEquals(f.Variables[i].Value) {
				t.Errorf("%s: the submission gives %s the value %#v, not %#v", c.name, v.Name, v.Value, f.Variables[i].Value)
			}
		}
	}
}

func TestVariableMistakes(t *testing.T) {
	t.Parallel()
	typed := "variable \"n\" {\n  type = number\n}\nvariable \"b\" {\n  type    = bool\n  default = true\n}\njob \"x\" {}\n"
	for _, c := range []struct {
		name string
		in   jobspec.Inputs
		want string // part of the first diagnostic
	}{
		{"no value", jobspec.Inputs{}, "-var n=VALUE"},
		{"not a number", jobspec.Inputs{Vars: map[string]string{"n": "x"}}, "does not fit its type, number"},
		{"not an expression", jobspec.Inputs{Vars: map[string]string{"n": "1", "b": "[}"}}, "Invalid expression"},
		{"a reference", jobspec.Inputs{Vars: map[string]string{"n": "1", "b": "var.n"}}, "Variables not allowed"},
		{"unknown -var", jobspec.Inputs{Vars: map[string]string{"n": "1", "bb": "1"}}, `Did you mean "b"?`},
		{"unknown in a file", jobspec.Inputs{VarFiles: []jobspec.VarFile{{Name: "v", Bytes: []byte("n = 1\nm = 2\n")}}}, "v:2,1-2: Undefined variable"},
		{"block in a file", jobspec.Inputs{VarFiles: []jobspec.VarFile{{Name: "v", Bytes: []byte("variable \"n\" {}\n")}}}, "Block in a variable file"},
		{"broken file", jobspec.Inputs{VarFiles: []jobspec.VarFile{{Name: "v", Bytes: []byte("n = \n")}}}, "v:1,5"},
	} {
		f, diags := jobspec.Parse("x.hcl", []byte(typed), c.in)
		if f != nil || !strings.Contains(diags.Error(), c.want) {
			t.Errorf("%s: %v", c.name, diags)
		}
	}
	in := jobspec.Inputs{VarFiles: []jobspec.VarFile{{Name: "v.json", Bytes: []byte(`{"n": 3}`)}}}
	if f := parse(t, typed, in); f.Variables[1].Origin != "var_file v.json:1" {
		t.Errorf("a JSON variable file: %+v", f.Variables)
	}
}

// What is given to many files at once may name what one of them lacks.
func TestLenient(t *testing.T) {
	t.Parallel()
	in := jobspec.Inputs{
		Lenient:  true,
		Vars:     map[string]string{"b": "x", "aa": "["},
		VarFiles: []jobspec.VarFile{{Name: "v", Bytes: []byte("c = [1]\na = \"v\"\n")}},
	}
	f := parse(t, oneVariable, in)
	if len(f.Variables) != 1 || f.Job.Meta["a"] != "v" || f.Variables[0].Origin != "var_file v:2" {
		t.Errorf("%s, %+v", f.Job.Meta["a"], f.Variables)
	}
	in.VarFiles[0].Bytes = []byte("a = [1]\n")
	if f, diags := jobspec.Parse("x.hcl", []byte(oneVariable), in); f != nil || !strings.Contains(diags.Error(), "v:1,5-8") {
		t.Errorf("a value of the wrong type is a mistake all the same: %v", diags)
	}
}

func TestCheckVarFile(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a = 1\nb = [true]\n": "",
		`{"a": 1}`:            "",
		"a = \n":              "v:1,5",
		"job \"a\" {}\n":      "v:1,1-4: Block in a variable file",
		"a = 1\nb = var.a\n":  "v:2,5-8: Variables not allowed",
		"{":                   "v:1,",
	} {
		diags := jobspec.VarFile{Name: "v", Bytes: []byte(text)}.Check()
		if diags.HasErrors() != (want != "") || want != "" && !strings.Contains(diags.Error(), want) {
			t.Errorf("%q: %v", text, diags)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	f := parse(t, "job \"x\" {\n  meta = { a = \"${port}\", b = \"${node.class}${NOMAD_JOB_NAME}\", c = \"x\" }\n}\n", jobspec.Inputs{})
	if len(f.Warnings) != 1 || f.Warnings[0].Severity != hcl.DiagWarning || !strings.Contains(f.Warnings[0].Detail, "unrendered template") {
		t.Fatal(f.Warnings)
	}
	if got := string(f.Warnings[0].Subject.SliceBytes(f.Bytes)); got != "port" {
		t.Errorf("points at %q", got)
	}
	if f.Job.Meta["a"] != "${port}" {
		t.Errorf("it is no longer literal: %q", f.Job.Meta["a"])
	}
}

// A name that nobody knows is said once, where it stands first.
func TestWarningsOnce(t *testing.T) {
	t.Parallel()
	f := parse(t, "job \"x\" {\n  meta = { a = \"${zone}\" }\n  group \"g\" {\n    meta = { a = \"${port}${zone}-${port}\" }\n  }\n}\n", jobspec.Inputs{})
	var got []string
	for _, w := range f.Warnings {
		got = append(got, position(*w.Subject)+" "+w.Summary)
	}
	if diff := cmp.Diff([]string{`2,19 Unknown reference "zone"`, `4,21 Unknown reference "port"`}, got); diff != "" {
		t.Error(diff)
	}
}

// TestFilesConfined: a source's job files cannot read outside of it.
func TestFilesConfined(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	root, jobs := filepath.Join(top, "root"), filepath.Join(top, "root", "jobs")
	for path, content := range map[string]string{
		filepath.Join(top, "secret"): "no", filepath.Join(root, "shared"): "root's", filepath.Join(jobs, "own"): "own",
		filepath.Join(root, "own"): "not this",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, []byte(content))
	}
	if err := os.Symlink(filepath.Join(top, "secret"), filepath.Join(jobs, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(top, filepath.Join(jobs, "up")); err != nil {
		t.Fatal(err)
	}
	confined := jobspec.FS{Dirs: []string{jobs, root}, Root: root}
	for _, c := range []struct {
		expr string
		fs   jobspec.FS
		want string // empty: refused
	}{
		{`file("own")`, confined, "own"},
		{`file("shared")`, confined, "root's"},
		{`file("../shared")`, confined, "root's"},
		{`file("` + root + `/shared")`, confined, "root's"},
		{`join(",", fileset(".", "o*"))`, confined, "own"},
		{`fileexists("none")`, confined, "false"},
		{`file("none")`, confined, ""},
		{`file("../../secret")`, confined, ""},
		{`file("` + top + `/secret")`, confined, ""},
		{`file("link")`, confined, ""},
		{`file("up/secret")`, confined, ""},
		{`filebase64("link")`, confined, ""},
		{`fileexists("../../secret")`, confined, ""},
		{`join(",", fileset("../..", "*"))`, confined, ""},
		{`join(",", fileset(".", "../../*"))`, confined, ""},
		{`file("../../secret")`, jobspec.FS{Dirs: []string{jobs}}, "no"},
		{`file("own")`, jobspec.FS{}, ""},
		{`basename("a/b")`, jobspec.FS{}, ""},
		{`abspath("x")`, jobspec.FS{Dirs: []string{"/r/j"}, Root: "/r"}, "/r/j/x"},
	} {
		src := "job \"x\" {\n  meta = { a = " + c.expr + " }\n}\n"
		f, diags := jobspec.Parse("x.hcl", []byte(src), jobspec.Inputs{FS: c.fs})
		switch {
		case c.want == "" && !diags.HasErrors():
			t.Errorf("%s: read %q", c.expr, f.Job.Meta["a"])
		case c.want != "" && diags.HasErrors():
			t.Errorf("%s: %v", c.expr, diags)
		case c.want != "" && (f.Job.Meta["a"] != c.want || !f.UsesFS):
			t.Errorf("%s: got %q, uses files: %t", c.expr, f.Job.Meta["a"], f.UsesFS)
		}
	}
	if parse(t, oneVariable, jobspec.Inputs{}).UsesFS {
		t.Error("a file that calls nothing is said to use files")
	}
}

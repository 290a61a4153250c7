package jobspec_test

import (
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

const plainEndings = `job "app" {
	group "g" {
		task "t" {
			driver = "raw_exec" # 环境
			config {
				command = "sh"
				args    = ["-E", "sudo -E x"]
			}
			template {
				data = <<-EOT
					one
					two
				EOT
				destination = "a"
			}
		}
	}
}
`

// TestEndings: with a byte order mark, CRLF, tabs and no final newline, in all
// combinations, a file parses to the same job, its places are the same, and edits
// keep every byte beside them.
func TestEndings(t *testing.T) {
	t.Parallel()
	want := "" // the edited file, in plain endings
	for _, c := range []struct {
		name                  string
		bom, crlf, unfinished bool
	}{
		{"plain", false, false, false}, {"BOM", true, false, false}, {"CRLF", false, true, false}, {"unfinished", false, false, true},
		{"BOM and CRLF", true, true, false}, {"CRLF, unfinished", false, true, true}, {"all", true, true, true},
	} {
		dress := func(src string) string {
			if c.unfinished {
				src = strings.TrimSuffix(src, "\n")
			}
			if c.crlf {
				src = strings.ReplaceAll(src, "\n", "\r\n")
			}
			if c.bom {
				src = "\uFEFF" + src
			}
			return src
		}
		f := parse(t, dress(plainEndings), jobspec.Inputs{})
		task := job.Path{}.Block("group", "g").Block("task", "t")
		for path, place := range map[string]string{
			task.Attr("driver").String():                      "4,13",
			task.Attr("config").Elem("args", 1).String():      "7,22",
			task.Elem("template", 0).Attr("data").String():    "10,12",
			task.Elem("template", 0).String():                 "9,4",
			job.Path{}.Block("group", "g").Attr("x").String(): "2,2",
		} {
			p, err := job.ParsePath(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := position(f.Range(p)); got != place {
				t.Errorf("%s: %s at %s, want %s", c.name, path, got, place)
			}
		}
		edits := []job.Edit{
			{Path: task.Attr("config").Elem("args", 0), Op: job.Remove, Old: "-E"},
			{Path: task.Attr("config").Elem("args", 1), Op: job.Replace, Old: " -E", Value: cty.StringVal("")},
			{Path: task.Attr("driver"), Op: job.Set, Value: cty.StringVal("exec")},
			{Path: task.Attr("env").Attr("A"), Op: job.Set, Value: cty.StringVal("1")},
		}
		desired, err := job.Apply(f.Job, edits)
		if err != nil {
			t.Fatal(err)
		}
		out, diags := f.Edit(edits, desired)
		if diags.HasErrors() {
			t.Fatalf("%s: %v", c.name, diags)
		}
		if want == "" {
			want = string(out)
		}
		if string(out) != dress(want) {
			t.Errorf("%s:\n%q\nwant\n%q", c.name, out, dress(want))
		}
	}
	if !strings.Contains(want, "\t\t\t\targs    = [\"sudo x\"]\n") || !strings.Contains(want, "driver = \"exec\" # 环境\n") {
		t.Errorf("the edits are not in it:\n%s", want)
	}
}

package jobspec_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

const jsonOutput = ".output.json"

func jsonFixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", "json", "*.json"))
	paths = slices.DeleteFunc(paths, func(p string) bool { return strings.HasSuffix(p, jsonOutput) })
	if err != nil || len(paths) == 0 {
		t.Fatalf("no JSON fixtures: %v", err)
	}
	return paths
}

func nomadSaysOfJSON(t *testing.T, binary, path string) ([]byte, bool) {
	return runNomad(t, binary, path, []string{"job", "run", "-json", "-output"})
}

// TestJSONFixtures holds each against what `nomad job run -json -output` printed,
// byte for byte; and so that output, which is a JSON job file too.
func TestJSONFixtures(t *testing.T) {
	t.Parallel()
	for _, path := range jsonFixtures(t) {
		want := read(t, strings.TrimSuffix(path, ".json")+jsonOutput)
		for _, src := range [][]byte{read(t, path), want} {
			f := parseJSON(t, string(src))
			got, err := f.Output()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("%s: -nomad +ours\n%s", path, diff)
			}
			if diff := cmp.Diff(&api.JobSubmission{Source: string(src), Format: "json"}, f.Submission); diff != "" {
				t.Errorf("%s: submission %s", path, diff)
			}
			if name := jobspec.Name(src); !jobspec.IsJob(src) || name != *f.Job.ID {
				t.Errorf("%s: IsJob %t, Name %q", path, jobspec.IsJob(src), name)
			}
		}
	}
}

func parseJSON(t testing.TB, src string) *jobspec.File {
	t.Helper()
	f, diags := jobspec.Parse("x.json", []byte(src), jobspec.Inputs{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return f
}

// TestJSONRange: the text that a path's range holds, and where it begins.
func TestJSONRange(t *testing.T) {
	t.Parallel()
	f := parseJSON(t, string(read(t, filepath.Join("testdata", "json", "nested.json"))))
	group, task := `group["web"]`, `group["web"].task["app"]`
	for path, want := range map[string]string{
		"id":                                  `3,11 "nested"`,
		"type":                                `5,13 "service"`,
		"datacenters[0]":                      `6,21 "*"`,
		"update.auto_revert":                  `7,77 true`,
		"update.canary":                       `7,15 {"MaxParallel": 1, "MinHealthyTime": 200000000, "AutoRevert": true}`,
		"priority":                            `3,11 "nested"`,
		group + ".count":                      `11,18 2`,
		group + `.network[0].port["http"].to`: `15,54 80`,
		group + `.network[0].port["admin"].static`: `16,59 8080`,
		group + `.volume["data"].source`:           `19,72 "data"`,
		group + `.service[0].check[0].path`:        `20,95 "/"`,
		task:                                       `23,21 "app"`,
		task + ".driver":                           `24,23 "raw_exec"`,
		task + ".config.command":                   `25,35 "sudo"`,
		task + ".config.args[0]":                   `25,52 "-E"`,
		task + ".config.args[7]":                   `25,51 ["-E", "app", "one"]`,
		task + ".config.limits[0].files":           `25,94 3`,
		task + ".env.LOG_LEVEL":                    `26,34 "info"`,
		task + `.env["node.id"]`:                   `26,53 "${node.unique.name}"`,
		task + ".env.NONE":                         `26,20 {"LOG_LEVEL": "info", "node.id": "${node.unique.name}"}`,
		task + ".resources.cpu":                    `27,34 100`,
		task + ".kill_timeout":                     `28,28 1000000000`,
		task + `.identity[0].aud[0]`:               `29,67 "vault.io"`,
		task + `.template[0].destination`:          `30,80 "local/a"`,
		task + ".user":                             `23,21 "app"`,
		`group["api"].count`:                       `3,11 "nested"`,
	} {
		p, err := job.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		r := f.Range(p)
		if got := fmt.Sprintf("%s %s", position(r), f.Bytes[r.Start.Byte:r.End.Byte]); got != want {
			t.Errorf("%s:\n got %s\nwant %s", path, got, want)
		}
	}
}

// Of two values of one name the last counts, in any case; but keys of a map are as
// they are, and two maps are one.
func TestJSONRangeOfDuplicates(t *testing.T) {
	t.Parallel()
	f := parseJSON(t, string(read(t, filepath.Join("testdata", "json", "names_in_any_case.json"))))
	for path, want := range map[string]string{
		"id":                                  `4,11`,
		`group["g"].meta.b`:                   `9,23`,
		`group["g"].meta.a`:                   `8,23`,
		`group["g"].task["t"].config.args[0]`: `10,99`,
		`group["g"].task["t"].config.command`: `10,73`,
	} {
		p, err := job.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := position(f.Range(p)); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// The text that a Replace would take away, also where it stands twice; where it is
// written in another way, the whole string.
func TestJSONRangeOfReplace(t *testing.T) {
	t.Parallel()
	f := parseJSON(t, `{"ID": "a", "TaskGroups": [{"Name": "g", "Tasks": [{"Name": "t", "Config": {"args": ["sh", "sudo -E x; sudo -E y", "\u002dE"]}}]}]}`)
	args := job.Path{}.Block("group", "g").Block("task", "t").Attr("config")
	for _, c := range []struct {
		edit job.Edit
		at   string
		want string
	}{
		{job.Edit{Path: args.Elem("args", 1), Old: " -E"}, "1,97", " -E"},
		{job.Edit{Path: args.Elem("args", 1), Old: " -E", At: 15}, "1,108", " -E"},
		{job.Edit{Path: args.Elem("args", 2), Old: "-E"}, "1,116", `"\u002dE"`},
	} {
		c.edit.Op, c.edit.Value = job.Replace, cty.StringVal("")
		r := f.RangeOf(c.edit)
		if got := string(f.Bytes[r.Start.Byte:r.End.Byte]); got != c.want || position(r) != c.at {
			t.Errorf("%q at %s, want %q at %s", got, position(r), c.want, c.at)
		}
	}
}

func TestJSONIsNotEdited(t *testing.T) {
	t.Parallel()
	f := parseJSON(t, "{\n  \"ID\": \"a\",\n  \"TaskGroups\": []\n}\n")
	if out, diags := f.Edit(nil, f.Job); diags.HasErrors() || string(out) != string(f.Bytes) {
		t.Errorf("no edits: %v, %q", diags, out)
	}
	edits := []job.Edit{{Path: job.Path{}.Attr("priority"), Op: job.Set, Value: cty.NumberIntVal(7)}}
	desired, err := job.Apply(f.Job, edits)
	if err != nil {
		t.Fatal(err)
	}
	out, diags := f.Edit(edits, desired)
	want := "x.json:2,9-12: JSON job file; It is checked and registered, but not edited: mend it by hand, or write it as HCL."
	if out != nil || diags.Error() != want {
		t.Errorf("%q\n got %v\nwant %s", out, diags, want)
	}
}

func TestJSONMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, src string
		in        jobspec.Inputs
		want      string
	}{
		{"comma missing", "{\"Job\": {\n  \"ID\": \"a\"\n  \"Name\": \"a\"}}", jobspec.Inputs{}, "x.json:3,3-4: Invalid JSON"},
		{"cut", "{\"Job\": {\n  \"ID\": \"a\",", jobspec.Inputs{}, "x.json:2,13-13: Invalid JSON; The file ends"},
		{"string for a number", "{\"Job\": {\n  \"ID\": \"a\", \"Priority\": \"50\"}}", jobspec.Inputs{}, "x.json:2,26-30: Wrong type; Here is a string; Priority needs a whole number."},
		{"object for a list", "{\"ID\": \"a\",\n\"TaskGroups\": {\"web\": {}}}", jobspec.Inputs{}, "x.json:2,15-26: Wrong type; Here is an object; TaskGroups needs a list."},
		{"duration as text", "{\"ID\": \"a\", \"TaskGroups\": [{\n\"Name\": \"g\", \"Tasks\": [{\"Name\": \"t\", \"KillTimeout\": \"5s\"}]}]}", jobspec.Inputs{}, "x.json:2,53-57: Wrong type; Here is a string; TaskGroups.Tasks.KillTimeout needs a whole number. A duration is a number of nanoseconds in JSON."},
		{"BOM", "\uFEFF{\"ID\": \"a\", \"TaskGroups\": []}", jobspec.Inputs{}, "x.json:1,1-1: Byte order mark before JSON"},
		{"null for a group", "{\"ID\": \"a\",\n\"TaskGroups\": [null]}", jobspec.Inputs{}, "x.json:2,16-20: Null in a list; Here is null instead of an object."},
		{"null for a check", "{\"ID\": \"a\", \"TaskGroups\": [{\"Name\": \"g\", \"Tasks\": [null]}]}", jobspec.Inputs{}, "Null in a list"},
		{"no ID", "{\"Job\": {\"Name\": \"a\", \"TaskGroups\": []}}", jobspec.Inputs{}, "Job without ID; A job in JSON needs an \"ID\"."},
		{"HCL's JSON", "{\"job\": {\"web\": {\"group\": {}}}}", jobspec.Inputs{}, "This may be another way to write a job"},
		{"group without name", "{\"ID\": \"a\", \"TaskGroups\": [{}]}", jobspec.Inputs{}, "x.json:1,28-30: Group without name"},
		{"variables", "{\"ID\": \"a\", \"TaskGroups\": []}", jobspec.Inputs{Vars: map[string]string{"a": "b"}}, "Variables for a JSON job file"},
		{"variable file", "{\"ID\": \"a\", \"TaskGroups\": []}", jobspec.Inputs{VarFiles: []jobspec.VarFile{{Name: "v", Bytes: []byte("a = 1\n")}}}, "Variables for a JSON job file"},
		{"template", "{\"ID\": \"a\", \"TaskGroups\": [{\"Name\": \"g\",\n\"Count\": [[ .count ]]}]}", jobspec.Inputs{}, "x.json:2,10-12: Unrendered template"},
		{"Go template", "{\"Job\": {\"ID\": \"a\",\n\"Priority\": {{ .p }}}}", jobspec.Inputs{}, "x.json:2,13-15: Unrendered template"},
		{"template of Terraform", "{\"Job\": {\"ID\": \"a\",\n\"Priority\": ${p}}}", jobspec.Inputs{}, "x.json:2,13-15: Unrendered template"},
	} {
		f, diags := jobspec.Parse("x.json", []byte(c.src), c.in)
		if f != nil || len(diags) != 1 || !strings.Contains(diags.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", c.name, diags, c.want)
		}
	}
	lenient := jobspec.Inputs{Vars: map[string]string{"a": "b"}, Lenient: true}
	if _, diags := jobspec.Parse("x.json", []byte(`{"ID": "a", "TaskGroups": []}`), lenient); diags.HasErrors() {
		t.Errorf("variables of the whole source: %v", diags)
	}
}

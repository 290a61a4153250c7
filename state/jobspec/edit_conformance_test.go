package jobspec_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

// TestEditConformance makes edits in every job file below the folders in
// RECONCILE_JOBS: each is either held, or gives a file that evaluates to the
// desired job and that the same edit leaves alone. It counts both.
func TestEditConformance(t *testing.T) {
	folders := os.Getenv("RECONCILE_JOBS")
	if folders == "" {
		t.Skip("needs folders in RECONCILE_JOBS")
	}
	made, held := map[string]int{}, map[string]int{}
	for _, folder := range filepath.SplitList(folders) {
		for _, path := range hclFiles(t, folder) {
			f, diags, vars := parseWith(path, read(t, path))
			if diags.HasErrors() {
				continue
			}
			in := jobspec.Inputs{FS: jobspec.FS{Dirs: []string{filepath.Dir(path)}}, Vars: vars}
			for _, c := range commonEdits(f.Job) {
				if editConforms(t, f, in, path, c.edit) {
					made[c.kind]++
				} else {
					held[c.kind]++
				}
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(made)) {
		t.Logf("%-22s %5d made %4d held", kind, made[kind], held[kind])
	}
}

// editConforms makes one edit and reports whether it was not held.
func editConforms(t *testing.T, f *jobspec.File, in jobspec.Inputs, path string, e job.Edit) bool {
	t.Helper()
	desired, err := job.Apply(f.Job, []job.Edit{e})
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return false
	}
	out, diags := f.Edit([]job.Edit{e}, desired)
	if diags.HasErrors() {
		t.Logf("held: %s: %s: %v", path, e, diags)
		return false
	}
	edited, diags := jobspec.Parse(f.Name, out, in)
	if diags.HasErrors() || !f.Volatile && !job.Equal(edited.Job, desired) {
		t.Errorf("%s: %s gives another job: %v", path, e, diags)
		return true
	}
	if e.Op != job.Set || f.Volatile {
		return true
	}
	if again, diags := edited.Edit([]job.Edit{e}, desired); diags.HasErrors() || !bytes.Equal(again, out) {
		t.Errorf("%s: %s made twice: %v", path, e, diags)
	}
	return true
}

type commonEdit struct {
	kind string
	edit job.Edit
}

// commonEdits are the edits that policies ask for, each at a place that the job
// has.
func commonEdits(j *api.Job) []commonEdit {
	out := []commonEdit{
		{"job attribute", set("priority", cty.NumberIntVal(77))},
		{"job meta key", text("meta.conformance", "x")},
	}
	for _, g := range j.TaskGroups {
		p := job.Path{}.Block("group", *g.Name)
		out = append(out, commonEdit{"group attribute", setAt(p.Attr("count"), cty.NumberIntVal(7))})
		if g.RestartPolicy != nil {
			out = append(out, commonEdit{"block removed", removeAtPath(p.Attr("restart"))})
		}
		for _, task := range g.Tasks {
			out = append(out, taskEdits(p.Block("task", task.Name), task)...)
		}
	}
	return out
}

func taskEdits(p job.Path, task *api.Task) []commonEdit {
	out := []commonEdit{
		{"env key added", setAt(p.Attr("env").Attr("CONFORMANCE"), cty.StringVal("x"))},
		{"memory", setAt(p.Attr("resources").Attr("memory"), cty.NumberIntVal(321))},
	}
	for _, key := range slices.Sorted(maps.Keys(task.Env)) {
		at := p.Attr("env").Attr(key)
		out = append(out, commonEdit{"env key set", setAt(at, cty.StringVal("another"))}, commonEdit{"env key removed", removeAtPath(at)})
	}
	for _, key := range slices.Sorted(maps.Keys(task.Config)) {
		if list, ok := task.Config[key].([]any); ok && len(list) > 0 {
			out = append(out, commonEdit{"list element removed", removeAtPath(p.Attr("config").Elem(key, 0))})
		}
	}
	if image, ok := task.Config["image"].(string); ok {
		_, tag, _ := strings.Cut(image, ":")
		if tag != "" {
			e := job.Edit{Path: p.Attr("config").Attr("image"), Op: job.Replace, Old: tag, Value: cty.StringVal("conformance")}
			out = append(out, commonEdit{"part of the image", e})
		}
	}
	for i, tmpl := range task.Templates {
		if tmpl.EmbeddedTmpl != nil {
			at := p.Elem("template", i).Attr("data")
			out = append(out, commonEdit{"template line added", setAt(at, cty.StringVal(*tmpl.EmbeddedTmpl+"more\n"))})
		}
	}
	return out
}

func setAt(p job.Path, v cty.Value) job.Edit { return job.Edit{Path: p, Op: job.Set, Value: v} }

func removeAtPath(p job.Path) job.Edit { return job.Edit{Path: p, Op: job.Remove} }

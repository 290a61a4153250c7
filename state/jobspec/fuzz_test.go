package jobspec_test

import (
	"bytes"
	"slices"
	"testing"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

// FuzzParse: whatever the bytes, there is a file or a diagnostic, no panic, and
// every range lies inside the source.
func FuzzParse(f *testing.F) {
	for _, folder := range []string{"parse", "refused"} {
		for _, path := range fixtures(f, folder) {
			f.Add(read(f, path))
		}
	}
	for _, c := range allCases() {
		f.Add([]byte(c.before))
	}
	for _, path := range jsonFixtures(f) {
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		skipCostly(t, src)
		jobspec.IsJob(src)
		file, diags := jobspec.Parse("f.hcl", src, jobspec.Inputs{})
		if (file == nil) != diags.HasErrors() {
			t.Fatalf("a file: %t, and %v", file != nil, diags)
		}
		for _, d := range diags {
			if d.Subject != nil {
				inside(t, *d.Subject, src)
			}
		}
		if file == nil {
			return
		}
		if _, err := file.Output(); err != nil {
			t.Fatal(err)
		}
		for _, p := range places(file) {
			inside(t, file.Range(p), src)
			if old, ok := job.At(file.Job, p); ok && old.Type() == cty.String {
				inside(t, file.RangeOf(job.Edit{Path: p, Op: job.Replace, Old: old.AsString()}), src)
			}
		}
	})
}

func inside(t *testing.T, r hcl.Range, src []byte) {
	t.Helper()
	if r.Filename == "f.hcl" && (r.Start.Byte < 0 || r.Start.Byte > r.End.Byte || r.End.Byte > len(src)) {
		t.Fatalf("%v is not inside of %d bytes", r, len(src))
	}
}

// places are some paths of the job that hold a value, at most 20.
func places(f *jobspec.File) []job.Path {
	var out []job.Path
	for _, g := range f.Job.TaskGroups {
		for _, task := range g.Tasks {
			p := job.Path{}.Block("group", *g.Name).Block("task", task.Name)
			out = append(out, p.Attr("driver"))
			for k := range task.Env {
				out = append(out, p.Attr("env").Attr(k))
			}
			for k, v := range task.Config {
				out = append(out, p.Attr("config").Attr(k))
				if list, ok := v.([]any); ok {
					for i := range list {
						out = append(out, p.Attr("config").Elem(k, i))
					}
				}
			}
			for i := range task.Templates {
				out = append(out, p.Elem("template", i).Attr("data"))
			}
		}
	}
	slices.SortFunc(out, func(a, b job.Path) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	return out[:min(len(out), 20)]
}

// FuzzEdit makes one edit somewhere in the job. If it is accepted: the result
// parses to the desired job; nothing is written but what the edit says; doing it
// again changes nothing.
func FuzzEdit(f *testing.F) {
	for _, c := range allCases() {
		for op := range byte(4) {
			f.Add([]byte(c.before), op, byte(1), "v")
		}
		f.Add([]byte(c.before), byte(0), byte(3), "${x} \"ä\n")
	}
	f.Fuzz(func(t *testing.T, src []byte, op, pick byte, value string) {
		skipCostly(t, src)
		file, diags := jobspec.Parse("f.hcl", src, jobspec.Inputs{})
		if diags.HasErrors() {
			return
		}
		e, ok := someEdit(file, op, pick, value)
		if !ok {
			return
		}
		desired, err := job.Apply(file.Job, []job.Edit{e})
		if err != nil {
			return
		}
		out, diags := file.Edit([]job.Edit{e}, desired)
		if diags.HasErrors() {
			if out != nil {
				t.Fatal("bytes beside errors")
			}
			return
		}
		again, diags := jobspec.Parse("f.hcl", out, jobspec.Inputs{})
		if diags.HasErrors() || !job.Equal(again.Job, desired) {
			t.Fatalf("%v\n%s", diags, out)
		}
		checkBytes(t, e, src, out)
		if e.Op == job.Set {
			twice, diags := again.Edit([]job.Edit{e}, desired)
			if diags.HasErrors() || !bytes.Equal(twice, out) {
				t.Fatalf("%v\nagain:\n%s\nbefore:\n%s", diags, twice, out)
			}
		}
	})
}

func someEdit(f *jobspec.File, op, pick byte, value string) (job.Edit, bool) {
	at := places(f)
	if len(at) == 0 {
		return job.Edit{}, false
	}
	p := at[int(pick)%len(at)]
	old, _ := job.At(f.Job, p)
	switch op % 4 {
	case 0:
		return job.Edit{Path: p, Op: job.Set, Value: cty.StringVal(value)}, true
	case 1:
		return job.Edit{Path: p, Op: job.Remove}, true
	case 2:
		if old == cty.NilVal || old.IsNull() || old.Type() != cty.String || old.AsString() == "" {
			return job.Edit{}, false
		}
		r := []rune(old.AsString())
		half := string(r[:(len(r)+1)/2])
		return job.Edit{Path: p, Op: job.Replace, Old: half, Value: cty.StringVal(value)}, true
	}
	return job.Edit{Path: p[:2].Attr("env").Attr("NEW_KEY"), Op: job.Set, Value: cty.StringVal(value)}, true
}

// checkBytes: a removal takes bytes away and adds none; an addition takes none
// away but white space; any other edit changes one stretch.
func checkBytes(t *testing.T, e job.Edit, before, after []byte) {
	t.Helper()
	switch {
	case e.Op == job.Remove && !isSubsequence(after, before):
		t.Fatalf("%s wrote something:\n%s", e, after)
	case e.Path.Last().Name == "NEW_KEY" && !bytes.Contains(before, []byte("NEW_KEY")) && !isSubsequence(noSpace(before), noSpace(after)):
		t.Fatalf("%s took something away:\n%s", e, after)
	}
}

func isSubsequence(short, long []byte) bool {
	for _, b := range long {
		if len(short) > 0 && short[0] == b {
			short = short[1:]
		}
	}
	return len(short) == 0
}

func noSpace(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, b)
}

// skipCostly: bcrypt's cost is the file's to choose, as in Nomad; it may be hours.
func skipCostly(t *testing.T, src []byte) {
	if bytes.Contains(src, []byte("bcrypt")) {
		t.Skip("bcrypt")
	}
}

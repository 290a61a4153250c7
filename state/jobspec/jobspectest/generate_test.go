package jobspectest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
)

const many = 1000

// The load is what the benchmarks say that it is.
func TestSizes(t *testing.T) {
	t.Parallel()
	sum, smallest, largest := 0, jobspectest.MaxSize, 0
	for _, f := range jobspectest.Generate(many) {
		n := len(f.Bytes)
		sum, smallest, largest = sum+n, min(smallest, n), max(largest, n)
		if n < jobspectest.MinSize || n > jobspectest.MaxSize {
			t.Errorf("%s has %d bytes", f.Name, n)
		}
	}
	if mean := sum / many; mean < 2600 || mean > 2800 {
		t.Errorf("%d bytes on the average, want 2700 and at most 100 more or less", mean)
	}
	t.Logf("%d to %d bytes, mean %d", smallest, largest, sum/many)
}

// Every file is a job file, with the ID and the sudo task that it should have.
func TestFilesAreJobs(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, f := range jobspectest.Generate(many / 2) {
		file, diags := jobspec.Parse(f.Name, f.Bytes, jobspec.Inputs{})
		if len(diags) > 0 {
			t.Fatalf("%s\n%s", diags, f.Bytes)
		}
		if len(file.Warnings) > 0 {
			t.Errorf("%s: %s", f.Name, file.Warnings)
		}
		if ids[*file.Job.ID] {
			t.Errorf("%s: job %s is there twice", f.Name, *file.Job.ID)
		}
		ids[*file.Job.ID] = true
		if got := preserving(file); got != f.Sudo {
			t.Errorf("%s: a sudo task with -E: %t, Sudo is %t\n%s", f.Name, got, f.Sudo, f.Bytes)
		}
	}
}

// preserving is so simple because generated tasks are: no command of sudo has an
// option with an E of its own.
func preserving(f *jobspec.File) bool {
	for _, g := range f.Job.TaskGroups {
		for _, task := range g.Tasks {
			args, _ := task.Config["args"].([]any)
			for _, a := range args {
				s, _ := a.(string)
				if task.Config["command"] == "sudo" && (s == "-E" || s == "-nE" || strings.HasPrefix(s, "--preserve-env")) {
					return true
				}
			}
		}
	}
	return false
}

func TestOneInFiveHasSudo(t *testing.T) {
	t.Parallel()
	files := jobspectest.Generate(many)
	for i := 0; i < many; i += 5 {
		n := 0
		for _, f := range files[i : i+5] {
			if f.Sudo {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d of the five files from %d on", n, i)
		}
	}
}

// What makes files differ in life is there, each kind in a fair share of files.
func TestVariety(t *testing.T) {
	t.Parallel()
	want := map[string]int{ // in one of so many files at most
		`type        = "service"`: 4, `type        = "system"`: 20, `type        = "batch"`: 20, "periodic {": 20,
		`driver = "docker"`: 4, `driver = "raw_exec"`: 10, `driver = "exec"`: 10, `driver = "java"`: 10,
		"<<-EOF": 10, "<<EOF": 10, "format(": 10, "join(": 10, "concat(": 10, "jsonencode(": 10, "[for ": 10,
		"# ": 2, "// ": 10, "/* ": 10, "variable \"": 4, "local.": 2, "env {": 2, "env = {": 20,
		"check {": 4, "constraint {": 10, "volume ": 10, "update {": 4, "restart {": 10, "mount {": 10,
		"group \"workers\"": 10, "task \"sidecar\"": 10, "\r\n": 50, "\t": 50, "主进程": 200,
		`args    = local.sudo_args`: 100, "--preserve-env": 50, `"-nE"`: 100,
	}
	files := jobspectest.Generate(many)
	for text, atMost := range want {
		n := 0
		for _, f := range files {
			if bytes.Contains(f.Bytes, []byte(text)) {
				n++
			}
		}
		if n*atMost < many || n == many && text != "local." && text != "# " {
			t.Errorf("%q is in %d of %d files", text, n, many)
		}
	}
}

// Generate gives the same in every run, and the first files do not depend on how
// many are asked for; Write writes them.
func TestSequence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := jobspectest.Write(dir, 20); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 20 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, f := range jobspectest.Generate(50)[:20] {
		if got, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || !bytes.Equal(got, f.Bytes) {
			t.Errorf("%s is written with other bytes: %v", f.Name, err)
		}
	}
	if err := jobspectest.Write(filepath.Join(dir, "none"), 1); err == nil {
		t.Error("a folder that is not there is no error")
	}
}

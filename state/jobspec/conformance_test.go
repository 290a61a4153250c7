package jobspec_test

import (
	"bytes"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/state/jobspec"
)

// nomadBinary is the real Nomad to ask, or empty.
func nomadBinary() string {
	if path := os.Getenv("NOMAD_BIN"); path != "" {
		return path
	}
	path, err := exec.LookPath("nomad")
	if err != nil {
		return ""
	}
	return path
}

// nomadOutput is what `nomad job run -output` says, and whether it accepts the
// file. It runs in the file's folder, where file() then looks.
func nomadOutput(t *testing.T, binary, path string, vars map[string]string) ([]byte, bool) {
	t.Helper()
	args := []string{"job", "run", "-output"}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		args = append(args, "-var", name+"="+vars[name])
	}
	cmd := exec.Command(binary, append(args, filepath.Base(path))...)
	cmd.Dir = filepath.Dir(path)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stderr.Bytes(), false
	}
	return stdout.Bytes(), true
}

// TestConformance holds every job file below the folders in RECONCILE_JOBS
// (separated by colons) against the real Nomad: byte for byte; of files
// that call uuidv4(), without the UUIDs.
func TestConformance(t *testing.T) {
	folders, binary := os.Getenv("RECONCILE_JOBS"), nomadBinary()
	if folders == "" || binary == "" {
		t.Skip("needs folders in RECONCILE_JOBS and a nomad binary (PATH or NOMAD_BIN)")
	}
	var equal, refused int
	for _, path := range jobFiles(t, filepath.SplitList(folders)) {
		switch ok, accepted := conforms(t, binary, path); {
		case ok && accepted:
			equal++
		case ok:
			refused++
		}
	}
	t.Logf("%d equal, %d refused by both", equal, refused)
}

func jobFiles(t *testing.T, folders []string) []string {
	t.Helper()
	var paths []string
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || !slices.Contains([]string{".hcl", ".nomad", ".job"}, filepath.Ext(path)) {
				return err
			}
			src, err := os.ReadFile(path)
			if err == nil && jobspec.IsJob(src) {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

var unset = regexp.MustCompile(`^Unset variable "(.*)"$`)

func conforms(t *testing.T, binary, path string) (ok, accepted bool) {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	in := jobspec.Inputs{FS: jobspec.FS{Dirs: []string{filepath.Dir(path)}}, Vars: map[string]string{}}
	f, diags := jobspec.Parse(filepath.Base(path), src, in)
	for _, d := range diags {
		if m := unset.FindStringSubmatch(d.Summary); m != nil {
			in.Vars[m[1]] = "1"
		}
	}
	if len(in.Vars) > 0 {
		f, diags = jobspec.Parse(filepath.Base(path), src, in)
	}
	want, accepted := nomadOutput(t, binary, path, in.Vars)
	if accepted != !diags.HasErrors() {
		t.Errorf("%s: nomad accepts it: %t\nnomad: %.300s\nours: %v", path, accepted, want, diags)
		return false, accepted
	}
	if !accepted {
		return true, false
	}
	got, err := f.Output()
	if err != nil {
		t.Fatal(err)
	}
	if f.Volatile { // uuidv4() gives another value each time
		want, got = uuid.ReplaceAll(want, nil), uuid.ReplaceAll(got, nil)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("%s: -nomad +ours\n%.2000s", path, diff)
		return false, true
	}
	return true, true
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

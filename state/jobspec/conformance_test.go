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
	"github.com/hashicorp/hcl/v2"

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

// verdict is what came of one file: the same job, refused by both, no job file
// for either, or a difference.
type verdict string

const (
	equal     verdict = "equal"
	refused   verdict = "refused by both"
	noJob     verdict = "no job file"
	different verdict = "DIFFERENT"
)

// TestConformance holds every file that could be a job file below the folders in
// RECONCILE_JOBS (separated by colons) against the real Nomad: byte for byte; of
// files that call uuidv4(), without the UUIDs.
func TestConformance(t *testing.T) {
	folders, binary := os.Getenv("RECONCILE_JOBS"), nomadBinary()
	if folders == "" || binary == "" {
		t.Skip("needs folders in RECONCILE_JOBS and a nomad binary (PATH or NOMAD_BIN)")
	}
	for _, folder := range filepath.SplitList(folders) {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			paths := hclFiles(t, folder)
			count := map[verdict]int{}
			for _, path := range paths {
				count[conforms(t, binary, path)]++
			}
			t.Logf("%d files: %v", len(paths), count)
		})
	}
}

func hclFiles(t *testing.T, folder string) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && slices.Contains([]string{".hcl", ".nomad", ".job"}, filepath.Ext(path)) {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

var unset = regexp.MustCompile(`^Unset variable "(.*)"$`)

// parseWith parses a file, and where variables have no value again with a value
// of each one's type.
func parseWith(path string, src []byte) (*jobspec.File, hcl.Diagnostics, map[string]string) {
	in := jobspec.Inputs{FS: jobspec.FS{Dirs: []string{filepath.Dir(path)}}, Vars: map[string]string{}}
	f, diags := jobspec.Parse(filepath.Base(path), src, in)
	for _, d := range diags {
		if m := unset.FindStringSubmatch(d.Summary); m != nil {
			in.Vars[m[1]] = anyOfType(src, m[1])
		}
	}
	if len(in.Vars) > 0 {
		f, diags = jobspec.Parse(filepath.Base(path), src, in)
	}
	return f, diags, in.Vars
}

// anyOfType is some value of the type that a variable is declared with.
func anyOfType(src []byte, name string) string {
	block := regexp.MustCompile(`variable\s+"?` + name + `"?\s*\{[^}]*?type\s*=\s*"?(\w+)`).FindSubmatch(src)
	if block == nil {
		return "x1"
	}
	switch string(block[1]) {
	case "number":
		return "1"
	case "bool":
		return "true"
	case "list", "set", "tuple":
		return "[]"
	case "map", "object":
		return "{}"
	}
	return "x1"
}

func conforms(t *testing.T, binary, path string) verdict {
	t.Helper()
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, diags, vars := parseWith(path, src)
	want, accepted := nomadOutput(t, binary, path, vars)
	switch {
	case accepted != !diags.HasErrors():
		t.Errorf("%s: nomad accepts it: %t\nnomad: %.300s\nours: %v", path, accepted, want, diags)
		return different
	case accepted && !jobspec.IsJob(src):
		t.Errorf("%s: IsJob does not know it", path)
		return different
	case !accepted && jobspec.IsJob(src):
		t.Logf("%s: refused by both\nnomad: %.300s\nours: %v", path, want, diags)
		return refused
	case !accepted:
		return noJob
	}
	got, err := f.Output()
	if err != nil {
		t.Fatal(err)
	}
	if f.Volatile { // uuidv4() gives another value each time
		want, got = uuid.ReplaceAll(want, nil), uuid.ReplaceAll(got, nil)
	}
	if diff := cmp.Diff(strings.TrimSpace(string(want)), string(got)); diff != "" {
		t.Errorf("%s: -nomad +ours\n%s", path, diff[:min(len(diff), 2000)])
		return different
	}
	return equal
}

var uuid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

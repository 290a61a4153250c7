package jobspec_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

var update = flag.Bool("update", false, "record what the real nomad makes of the fixtures (needs one on PATH or in NOMAD_BIN)")

const jobSuffix = ".nomad.hcl"

func fixtures(t testing.TB, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*"+jobSuffix))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures in %s: %v", folder, err)
	}
	return paths
}

func fixtureInputs(t testing.TB, path string) jobspec.Inputs {
	t.Helper()
	dir := filepath.Dir(path)
	in := jobspec.Inputs{FS: jobspec.FS{Dirs: []string{dir}, Root: dir}}
	vars := strings.TrimSuffix(path, jobSuffix) + ".vars.hcl"
	if b, err := os.ReadFile(vars); err == nil {
		in.VarFiles = []jobspec.VarFile{{Name: filepath.Base(vars), Bytes: b}}
	}
	return in
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestParseFixtures holds each fixture against what the real Nomad made of it
// (its version is in testdata/VERSION), byte for byte.
func TestParseFixtures(t *testing.T) {
	t.Parallel()
	if *update {
		record(t)
	}
	for _, path := range fixtures(t, "parse") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			f, diags := jobspec.Parse(filepath.Base(path), read(t, path), fixtureInputs(t, path))
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			got, err := f.Output()
			if err != nil {
				t.Fatal(err)
			}
			want := read(t, strings.TrimSuffix(path, jobSuffix)+".json")
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("-nomad +ours\n%s", diff)
			}
			if !jobspec.IsJob(f.Bytes) {
				t.Error("IsJob does not know it")
			}
		})
	}
}

// record asks the real Nomad; it must refuse what testdata/refused holds.
func record(t *testing.T) {
	t.Helper()
	binary := nomadBinary()
	if binary == "" {
		t.Fatal("-update needs a nomad binary")
	}
	version, err := exec.Command(binary, "version").Output()
	if err != nil {
		t.Fatal(err)
	}
	version, _, _ = bytes.Cut(version, []byte("\n"))
	write(t, filepath.Join("testdata", "VERSION"), append(version, '\n'))
	for _, path := range fixtures(t, "parse") {
		out, ok := nomadSays(t, binary, path)
		if !ok {
			t.Errorf("nomad refuses %s: %s", path, out)
			continue
		}
		write(t, strings.TrimSuffix(path, jobSuffix)+".json", out)
	}
	for _, path := range jsonFixtures(t) {
		out, ok := nomadSaysOfJSON(t, binary, path)
		if !ok {
			t.Errorf("nomad refuses %s: %s", path, out)
			continue
		}
		write(t, strings.TrimSuffix(path, ".json")+jsonOutput, out)
	}
	for _, path := range fixtures(t, "refused") {
		if out, ok := nomadSays(t, binary, path); ok {
			t.Errorf("nomad accepts %s: %s", path, out)
		}
	}
}

func nomadSays(t *testing.T, binary, path string) ([]byte, bool) {
	args := []string{"job", "run", "-output"}
	for _, f := range fixtureInputs(t, path).VarFiles {
		args = append(args, "-var-file", f.Name)
	}
	return runNomad(t, binary, path, args)
}

func runNomad(t *testing.T, binary, path string, args []string) ([]byte, bool) {
	cmd := exec.Command(binary, append(args, filepath.Base(path))...)
	cmd.Dir = filepath.Dir(path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return stderr.Bytes(), false
	}
	return out, true
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRefusedFixtures: each file is refused for the reason in its first comment,
// `# LINE,COLUMN SUMMARY`.
func TestRefusedFixtures(t *testing.T) {
	t.Parallel()
	for _, path := range fixtures(t, "refused") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			src := read(t, path)
			f, diags := jobspec.Parse(filepath.Base(path), src, fixtureInputs(t, path))
			if f != nil || !diags.HasErrors() {
				t.Fatal("accepted")
			}
			first, _, _ := strings.Cut(string(src), "\n")
			got := ""
			for _, d := range diags {
				if d.Severity == hcl.DiagError {
					got = "# " + position(*d.Subject) + " " + d.Summary
					break
				}
			}
			if got != first {
				t.Errorf("got  %s\nwant %s\n%v", got, first, diags)
			}
		})
	}
}

// TestFixturesCoverAPI: every `hcl` tag that a job can have occurs in a fixture.
func TestFixturesCoverAPI(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, path := range fixtures(t, "parse") {
		file, diags := hclsyntax.ParseConfig(read(t, path), path, hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, b := range file.Body.(*hclsyntax.Body).Blocks {
			if b.Type == "job" {
				mark(b.Body, reflect.TypeFor[api.Job](), seen)
			}
		}
	}
	missing(t, reflect.TypeFor[api.Job](), seen, map[reflect.Type]bool{})
}

func mark(body *hclsyntax.Body, typ reflect.Type, seen map[string]bool) {
	if len(typ.PkgPath()) == 0 || typ.Kind() != reflect.Struct {
		return
	}
	for name := range body.Attributes {
		seen[typ.Name()+"."+name] = true
	}
	for _, b := range body.Blocks {
		seen[typ.Name()+"."+b.Type] = true
		if f, ok := job.FieldNamed(typ, b.Type); ok {
			mark(b.Body, element(f.Type), seen)
		}
	}
}

func missing(t *testing.T, typ reflect.Type, seen map[string]bool, done map[reflect.Type]bool) {
	if typ.Kind() != reflect.Struct || done[typ] {
		return
	}
	done[typ] = true
	for _, f := range job.Fields(typ) {
		if f.Kind != job.LabelField && !seen[typ.Name()+"."+f.Name] {
			t.Errorf("no fixture has %s.%s", typ.Name(), f.Name)
		}
		if f.Kind == job.BlockField {
			missing(t, element(f.Type), seen, done)
		}
	}
}

func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

package reconcile_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/source"
)

// shelf is a folder of job files, a catalogue of it, and what reads them.
type shelf struct {
	t       *testing.T
	dir     string
	catalog *reconcile.Catalog
	planner *reconcile.Planner
	now     time.Time
}

func newShelf(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{t: t, dir: filepath.Join(t.TempDir(), "jobs"), now: time.Now().Add(time.Hour)} // all stamps are old enough
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sources := []reconcile.Source{{Directory: source.Directory{Name: "jobs", Path: s.dir, Shown: "jobs", Include: []string{"**/*.hcl"}, Exclude: []string{"**/*.vars.hcl"}}}}
	s.planner = &reconcile.Planner{Sources: sources, Namespaces: []string{"*"}, ReadOnly: true}
	s.planner.Policies = set(t, sudoPolicy)
	s.catalog = reconcile.NewCatalog(sources, func() time.Time { return s.now })
	return s
}

func (s *shelf) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func jobNamed(name string) string {
	return fmt.Sprintf("job %q {\n  group \"g\" {\n    task \"t\" {\n      driver = \"raw_exec\"\n    }\n  }\n}\n", name)
}

// read looks at all that has moved, and says what that was.
func (s *shelf) read(m reconcile.Moved) string {
	s.t.Helper()
	var out []string
	for _, id := range m.Jobs {
		out = append(out, id.Name)
		s.look(reconcile.Ask{ID: id})
	}
	for _, path := range m.Files {
		rel, _ := filepath.Rel(s.dir, path)
		out = append(out, rel)
		s.look(reconcile.Ask{File: path})
	}
	return strings.Join(out, " ")
}

func (s *shelf) look(ask reconcile.Ask) reconcile.Looked {
	s.t.Helper()
	out, err := s.planner.Look(s.t.Context(), s.catalog, ask, reconcile.Sync{})
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// declared is which file declares which job, as the catalogue has it.
func (s *shelf) declared() map[string]string {
	out := map[string]string{}
	for id := range s.catalog.Jobs() {
		for _, path := range s.catalog.Files(id) {
			rel, _ := filepath.Rel(s.dir, path)
			out[rel] = id.Name
		}
	}
	return out
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: moved %q, want %q", what, got, want)
		}
	}
	s.write("a.hcl", jobNamed("a"))
	s.write("deep/b.hcl", jobNamed("b"))
	s.write("prod.vars.hcl", "x = 1\n")
	s.write("notes.hcl", "x = 1\n")
	expect("at first, by file", s.read(s.catalog.Refresh()), "a.hcl deep/b.hcl notes.hcl")
	expect("nothing", s.read(s.catalog.Refresh()), "")
	s.write("a.hcl", jobNamed("a")+"# more\n")
	expect("a known file, by its job", s.read(s.catalog.Refresh()), "a")
	s.write("deep/b.hcl", jobNamed("b2"))
	expect("its old job", s.read(s.catalog.Refresh()), "b")
	if got, want := s.declared(), map[string]string{"a.hcl": "a", "deep/b.hcl": "b2"}; !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s.write("deep/c.hcl", jobNamed("c"))
	expect("another folder", s.read(s.catalog.Look([]string{s.dir}, nil)), "")
	expect("its folder", s.read(s.catalog.Look([]string{filepath.Join(s.dir, "deep")}, nil)), "deep/c.hcl")
	if err := os.RemoveAll(filepath.Join(s.dir, "deep")); err != nil {
		t.Fatal(err)
	}
	expect("a folder that is gone, by the one above", s.read(s.catalog.Look([]string{s.dir}, nil)), "b2 c")
	if err := os.Rename(s.dir, s.dir+".away"); err != nil {
		t.Fatal(err)
	}
	expect("a source that is gone: unknown, not absent", s.read(s.catalog.Refresh()), "")
	if failed := s.catalog.Failed(); len(failed) != 1 || s.catalog.Whole() || len(s.declared()) != 1 {
		t.Errorf("%v, %v", failed, s.declared())
	}
	if err := os.Rename(s.dir+".away", s.dir); err != nil {
		t.Fatal(err)
	}
	expect("and back as it was", s.read(s.catalog.Look([]string{filepath.Dir(s.dir)}, nil)), "")
	if failed := s.catalog.Failed(); len(failed) != 0 || !s.catalog.Whole() {
		t.Errorf("%v", failed)
	}
}

// What a job file reads by its functions belongs to it, be it there or not.
func TestCatalogDependencies(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("a.hcl", strings.Replace(jobNamed("a"), "\"raw_exec\"", "\"raw_exec\"\n      config {\n        args = [file(\"a.txt\"), fileexists(\"b.txt\") ? \"yes\" : \"no\", join(\",\", fileset(\"set\", \"*.conf\"))]\n      }", 1))
	s.write("a.txt", "one")
	s.write("set/1.conf", "")
	s.read(s.catalog.Refresh())
	if got := s.read(s.catalog.Refresh()); got != "" {
		t.Errorf("nothing has moved, but %s", got)
	}
	for _, name := range []string{"a.txt", "b.txt", "set/2.conf"} {
		s.write(name, "another")
		if got := s.read(s.catalog.Look([]string{filepath.Join(s.dir, "set")}, nil)); got != "a" {
			t.Errorf("%s: moved %q", name, got)
		}
	}
}

// A file that was written in the moment in which it was read is read again: another
// write in that moment would not show.
func TestCatalogRacy(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("a.hcl", jobNamed("a"))
	s.now = time.Now()
	s.read(s.catalog.Refresh())
	s.now = time.Now().Add(time.Hour)
	if got := s.read(s.catalog.Refresh()); got != "a" {
		t.Errorf("moved %q", got)
	}
	if got := s.read(s.catalog.Refresh()); got != "" {
		t.Errorf("moved %q again", got)
	}
}

// What an earlier process has read is believed as long as the file is the same.
func TestCatalogRecall(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("a.hcl", jobNamed("a"))
	s.write("b.hcl", jobNamed("b"))
	s.read(s.catalog.Refresh())
	readings := map[string]reconcile.Reading{}
	for id := range s.catalog.Jobs() {
		path, r, ok := s.catalog.Reading(id)
		if !ok {
			t.Fatal(id)
		}
		readings[path] = r
	}
	s.write("b.hcl", jobNamed("c"))
	s.catalog = reconcile.NewCatalog(s.planner.Sources, func() time.Time { return s.now })
	s.catalog.Refresh()
	for path, r := range readings {
		if got, want := s.catalog.Recall(path, r), filepath.Base(path) == "a.hcl"; got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
	if got := s.read(s.catalog.Refresh()); got != "b.hcl" {
		t.Errorf("moved %q", got)
	}
}

// Whatever happens to files: looking at what is named leaves the catalogue as one that
// reads everything afresh.
func TestCatalogRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		s, r := newShelf(t), rand.New(rand.NewPCG(seed, 0))
		s.read(s.catalog.Refresh())
		for range 60 {
			dir := []string{"", "x", "y", "x/z"}[r.IntN(4)]
			name := filepath.Join(dir, fmt.Sprintf("%d.hcl", r.IntN(3)))
			switch r.IntN(6) {
			case 0, 1:
				s.write(name, jobNamed(fmt.Sprintf("job-%d", r.IntN(6))))
			case 2:
				s.write(name, fmt.Sprintf("job \"broken-%d\" {\n", r.IntN(3)))
			case 3:
				_ = os.Remove(filepath.Join(s.dir, name))
			case 4:
				s.write(name, "no = \"job\"\n")
			case 5:
				_ = os.RemoveAll(filepath.Join(s.dir, "x"))
				s.read(s.catalog.Look([]string{s.dir}, nil))
				continue
			}
			s.read(s.catalog.Look(nil, []string{filepath.Join(s.dir, dir)}))
		}
		want := newShelf(t)
		want.dir, want.planner = s.dir, s.planner
		want.catalog = reconcile.NewCatalog(s.planner.Sources, func() time.Time { return s.now })
		want.read(want.catalog.Refresh())
		if got := s.declared(); !maps.Equal(got, want.declared()) || s.catalog.Whole() != want.catalog.Whole() {
			t.Fatalf("seed %d: %v, want %v", seed, got, want.declared())
		}
		if m := s.catalog.Refresh(); len(m.Jobs)+len(m.Files) > 0 {
			t.Fatalf("seed %d: still moved: %v", seed, m)
		}
	}
}

// A job that files declare no more is nobody's, unless we have registered it.
func TestLookWithoutFile(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.write("a.hcl", jobNamed("a"))
	s.read(s.catalog.Refresh())
	s.write("a.hcl", jobNamed("b"))
	s.catalog.Refresh()
	id := job.ID{Namespace: "default", Name: "a"}
	if got := s.look(reconcile.Ask{ID: id}); got.Plan != nil || !slices.Equal(got.Others, []job.ID{{Namespace: "default", Name: "b"}}) {
		t.Errorf("%+v", got)
	}
	if got := s.look(reconcile.Ask{ID: id}); got.Plan != nil || len(got.Others) > 0 {
		t.Errorf("%+v", got)
	}
}

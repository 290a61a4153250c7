package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "nomad-reconcile/"

// arrows says for each room what of ours it may import; a room is a folder and all
// below it, the longest name counts. Under cmd everything goes.
var arrows = map[string][]string{
	"config":               {},
	"policies":             {"state/job", "policies/sudo"},
	"policies/sudo":        {},
	"policies/library":     {},
	"state":                {"state/job"},
	"state/job":            {},
	"reconcile":            {"policies", "state", "reconcile/gates"},
	"reconcile/gates":      {"policies", "state"},
	"reconcile/controller": {"reconcile", "policies", "state"},
	"reconcile/doctor":     {"reconcile", "policies", "state"},
	"reconcile/policytest": {"reconcile", "policies", "state"},
}

// allowed reports whether the package from may import the package to, both named
// from the module's root.
func allowed(from, to string) bool {
	if within(from, "cmd") {
		return true
	}
	room, known := "", false
	for name := range arrows {
		if within(from, name) && len(name) >= len(room) {
			room, known = name, true
		}
	}
	if !known || strings.HasSuffix(to, "/nomadtest") {
		return false
	}
	return slices.ContainsFunc(arrows[room], func(name string) bool { return within(to, name) })
}

func within(path, room string) bool { return path == room || strings.HasPrefix(path, room+"/") }

func TestAllowed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		from, to string
		want     bool
	}{
		{"cmd/reconcile", "config", true},
		{"cmd/reconcile/report", "reconcile", true},
		{"cmd/reconcile", "state/nomad/nomadtest", true}, // the demo
		{"reconcile", "reconcile/gates", true},
		{"reconcile", "state/history", true},
		{"reconcile", "config", false},
		{"reconcile", "cmd/reconcile/report", false},
		{"reconcile", "reconcile/controller", false},
		{"reconcile", "state/nomad/nomadtest", false},
		{"reconcile/controller", "reconcile", true},
		{"reconcile/gates", "policies", true},
		{"reconcile/gates", "reconcile", false},
		{"policies", "policies/sudo", true},
		{"policies", "state/job", true},
		{"policies", "state/jobspec", false},
		{"policies", "state/nomad", false},
		{"policies", "reconcile/gates", false},
		{"policies/sudo", "state/job", false},
		{"state/history", "state/job", true},
		{"state/history", "state/source", false},
		{"state/nomad/nomadtest", "state/job", true},
		{"state/job", "state/source", false},
		{"config", "state/job", false},
		{"util", "state/job", false}, // no other folder at the top
	}
	for _, tc := range tests {
		if got := allowed(tc.from, tc.to); got != tc.want {
			t.Errorf("%s -> %s: %v, want %v", tc.from, tc.to, got, tc.want)
		}
	}
}

type goPackage struct {
	ImportPath, Dir  string
	Imports, GoFiles []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	// go test does not see what `go list` reads; having looked into every folder
	// ourselves, a cached verdict lasts only as long as the tree.
	if err := filepath.WalkDir("../..", func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == ".git" {
			return fs.SkipDir
		}
		return nil // files of runs going on in the tree may vanish meanwhile
	}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Dir,Imports,GoFiles", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// Imports point the way that the house is built; see CONTRIBUTING.md.
func TestArrows(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, p := range packages(t) {
		from, _ := strings.CutPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if ours && !allowed(from, to) {
				t.Errorf("%s may not import %s", from, to)
			}
			if imported == "testing" {
				t.Errorf("%s imports testing outside its tests", from)
			}
			checked++
		}
	}
	if checked == 0 {
		t.Error("go list named no imports at all")
	}
}

// agentsOwn is what the in-process Nomad may do as well: it stands in for another
// process, whose tasks inherit that process's environment.
var agentsOwn = []string{"os.Getenv", "os.LookupEnv"}

// cmdOnly are the deeds that belong to cmd: to print, to exit, to read the
// environment.
var cmdOnly = map[string]bool{
	"os.Exit": true, "os.Getenv": true, "os.LookupEnv": true, "os.Environ": true, "os.ExpandEnv": true,
	"os.Stdout": true, "os.Stderr": true, "os.Stdin": true, "os.Args": true,
	"fmt.Print": true, "fmt.Printf": true, "fmt.Println": true,
	"log.Print": true, "log.Printf": true, "log.Println": true, "log.Fatal": true, "log.Fatalf": true,
	"api.DefaultConfig": true,
}

func TestOnlyCmdPrintsExitsOrReadsTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		from, _ := strings.CutPrefix(p.ImportPath, module)
		if within(from, "cmd") {
			continue
		}
		for _, name := range p.GoFiles {
			for _, deed := range deeds(t, filepath.Join(p.Dir, name)) {
				if from == "state/nomad/nomadtest" && slices.Contains(agentsOwn, deed) {
					continue
				}
				t.Errorf("%s/%s uses %s: let cmd do that and hand the value on", from, name, deed)
			}
		}
	}
}

func TestDeeds(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.go")
	src := "package x\nimport (\"fmt\"; \"os\")\nfunc f() { fmt.Println(os.Getenv(\"A\")); fmt.Sprint(os.Getpid()) }\n"
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := deeds(t, file); !slices.Equal(got, []string{"fmt.Println", "os.Getenv"}) {
		t.Errorf("%v", got)
	}
}

func deeds(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && cmdOnly[x.Name+"."+s.Sel.Name] {
				found = append(found, x.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return found
}

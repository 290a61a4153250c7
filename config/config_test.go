package config_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nomad-reconcile/config"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

var update = flag.Bool("update", false, "write the expected diagnostics of testdata/bad-*.hcl")

func TestLoadBad(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/bad-*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".hcl"), func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, diags := config.Load("reconcile.hcl", src)
			if c != nil || !diags.HasErrors() {
				t.Fatalf("accepted: %+v", c)
			}
			for _, d := range diags {
				if d.Subject == nil || d.Detail == "" {
					t.Errorf("no place or no next step: %v", d)
				}
			}
			compare(t, strings.TrimSuffix(file, ".hcl")+".txt", show(t, src, diags))
		})
	}
}

func show(t *testing.T, src []byte, diags hcl.Diagnostics) string {
	t.Helper()
	var out bytes.Buffer
	files := map[string]*hcl.File{"reconcile.hcl": {Bytes: src}}
	if err := hcl.NewDiagnosticTextWriter(&out, files, 0, false).WriteDiagnostics(diags); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func TestLoadFull(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("testdata/full.hcl")
	if err != nil {
		t.Fatal(err)
	}
	got, diags := config.Load("etc/reconcile.hcl", src)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := &config.Config{
		Path:  "etc/reconcile.hcl",
		Nomad: config.Nomad{Address: "https://nomad.example.com:4646", Namespaces: []string{"default", "prod"}},
		Sources: []config.Source{{
			Name: "jobs", Path: at(t, "etc/services"), Include: []string{"*.nomad"}, Exclude: []string{"old/**"}, Namespace: "prod",
			Vars:     map[string]string{"region": "eu", "count": "3", "debug": "true", "ratio": "0.5"},
			VarFiles: varFiles(t, "etc/prod.vars.hcl", "/etc/reconcile/common.vars.hcl"),
			JobVars: []config.JobVars{
				{Glob: "web.hcl", Files: varFiles(t, "etc/z.vars.hcl")},
				{Glob: "api/**"},
				{Glob: "{a,b}-*.nomad", Files: varFiles(t, "etc/one.vars.hcl", "etc/two.vars.hcl")},
			},
			FilesFrom: "source",
		}, {
			Name: "batch", Path: at(t, "etc/batch"), Namespace: "default",
			Include: []string{"**/*.hcl", "**/*.nomad", "**/*.job"}, Exclude: []string{"**/*.vars.hcl"},
		}},
		Nomads:   []config.NomadSource{{Name: "running", Jobs: []string{"web", "api-*"}, Namespaces: []string{"prod"}, Exclude: []string{"*-canary"}}},
		Policies: []config.Path{at(t, "etc/policies"), at(t, "shared/sudo.policy.hcl")},
		PolicyVars: map[string]config.Value{
			"max_memory": {Value: cty.NumberIntVal(4096)},
			"teams":      {Value: cty.TupleVal([]cty.Value{cty.StringVal("web"), cty.StringVal("data")})},
		},
		Libraries: []config.Library{{
			Name: "images", Enforce: "warn", Fix: new(false),
			Vars: map[string]config.Value{"allowed_registries": {Value: cty.TupleVal([]cty.Value{cty.StringVal("registry.example.com")})}},
		}, {
			Name: "sudo", Vars: map[string]config.Value{},
		}},
		State:    config.State{Dir: at(t, "/var/lib/reconcile"), Keep: 5, KeepFor: 2160 * time.Hour},
		Backup:   config.Backup{Beside: true},
		Sync:     config.Sync{Fix: "apply", Drift: "correct", Create: "register", Prune: "stop"},
		Limits:   config.Limits{Concurrency: 2, MaxChanges: 1},
		Interval: 90 * time.Second,
		Settle:   0,
		Shutdown: 2 * time.Minute,
		Calm:     config.Windows{{Text: "Mon-Fri 09:00-17:00 Europe/Berlin"}, {Text: "Sat,Sun 22:00-06:00"}},
		HTTP:     config.HTTP{Address: "0.0.0.0:9464", TokenFile: at(t, "etc/http.token"), Pprof: true},
		Log:      config.Log{Level: "debug", Format: "json"},
	}
	ignored := cmp.Options{
		cmpopts.IgnoreFields(config.VarFile{}, "Range"), cmpopts.IgnoreFields(config.Value{}, "Range", "Name"),
		cmpopts.IgnoreFields(config.Library{}, "Range", "Exceptions"), cmpopts.IgnoreUnexported(config.Window{}), cmp.Comparer(cty.Value.RawEquals),
	}
	if diff := cmp.Diff(want, got, ignored); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if e := got.Libraries[0].Exceptions; len(e) != 1 || e[0].Type != "exception" {
		t.Errorf("exceptions %v", e)
	}
	for _, v := range []struct{ at, want string }{
		{string(got.PolicyVars["max_memory"].Range.SliceBytes(src)), "4096"}, {string(got.PolicyVars["max_memory"].Name.SliceBytes(src)), "max_memory"},
		{string(got.Libraries[0].Vars["allowed_registries"].Name.SliceBytes(src)), "allowed_registries"},
		{string(got.Libraries[0].Range.SliceBytes(src)), `"images"`},
	} {
		if v.at != v.want {
			t.Errorf("the place of %s is that of %s", v.want, v.at)
		}
	}
	for _, f := range []config.VarFile{got.Sources[0].VarFiles[1], got.Sources[0].JobVars[2].Files[1]} {
		if text := string(f.Range.SliceBytes(src)); !strings.Contains(text, filepath.Base(f.Shown)) || strings.Contains(text, "[") {
			t.Errorf("%s is said to stand at %s, where %s does", f.Shown, f.Range, text)
		}
	}
}

func varFiles(t *testing.T, shown ...string) []config.VarFile {
	t.Helper()
	var out []config.VarFile
	for _, s := range shown {
		out = append(out, config.VarFile{Path: at(t, s)})
	}
	return out
}

func at(t *testing.T, shown string) config.Path {
	t.Helper()
	abs, err := filepath.Abs(shown)
	if err != nil {
		t.Fatal(err)
	}
	return config.Path{Shown: shown, Abs: abs}
}

func TestLoadEmptyIsDefault(t *testing.T) {
	t.Parallel()
	got, diags := config.Load("reconcile.hcl", nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := config.Default(".")
	want.Path = "reconcile.hcl"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(at(t, ".reconcile"), got.State.Dir); diff != "" {
		t.Errorf("state.dir (-want +got):\n%s", diff)
	}
}

// The defaults belong to the package; a caller that changes its copy must not
// change the next one's.
func TestDefaultsAreCopies(t *testing.T) {
	t.Parallel()
	config.DefaultInclude()[0] = "spoilt"
	src := []byte("source \"directory\" \"jobs\" {}\n")
	first, _ := config.Load("reconcile.hcl", src)
	first.Sources[0].Exclude[0] = "spoilt"
	second, _ := config.Load("reconcile.hcl", src)
	if s := second.Sources[0]; s.Include[0] == "spoilt" || s.Exclude[0] == "spoilt" {
		t.Error("one configuration's globs reach into the next")
	}
}

// README.md and the schema name the same keys.
func TestReadmeNamesEveryKey(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|").FindAllSubmatch(readme, -1) {
		documented = append(documented, string(m[1]))
	}
	keys := config.KeysForTest()
	slices.Sort(documented)
	slices.Sort(keys)
	if diff := cmp.Diff(keys, documented); diff != "" {
		t.Errorf("README.md (-schema +README):\n%s", diff)
	}
}

// The README's example is the default configuration said aloud.
func TestReadmeExampleLoads(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```hcl\n(.*?)```").FindSubmatch(readme)
	if m == nil {
		t.Fatal("README.md has no example")
	}
	c, diags := config.Load("reconcile.hcl", m[1])
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := config.Default(".")
	if diff := cmp.Diff(want.Sync, c.Sync) + cmp.Diff(want.State, c.State) + cmp.Diff(want.Limits, c.Limits) + cmp.Diff(want.Log, c.Log); diff != "" {
		t.Errorf("the example's values are not the defaults:\n%s", diff)
	}
}

func TestExamplesLoad(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("examples/*/reconcile.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, diags := config.Load(file, src)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		for _, p := range append(slices.Clone(c.Policies), c.Sources[0].Path) {
			if _, err := os.Stat(p.Abs); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// The orchestrator example is what the runbook speaks of, to the line.
func TestExampleOrchestratorLine47(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("examples/orchestrator/jobs/orchestrator.hcl")
	if err != nil {
		t.Fatal(err)
	}
	want := `args    = ["-E", "/mnt/data1/pcloud/infra/local-deploy/scripts/start-orchestrator.sh"]`
	if got := strings.TrimSpace(strings.Split(string(src), "\n")[46]); got != want {
		t.Errorf("line 47 is %s", got)
	}
}

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.hcl")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, diags := config.Load("reconcile.hcl", src)
		if (c == nil) != diags.HasErrors() {
			t.Errorf("a configuration and errors, or neither: %v", diags)
		}
		for _, d := range diags {
			if s := d.Subject; s == nil || s.Start.Byte < 0 || s.End.Byte < s.Start.Byte || s.End.Byte > len(src) {
				t.Errorf("a diagnostic without a place in the source: %v", d)
			}
		}
	})
}

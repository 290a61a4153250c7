package nomad_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
	"nomad-reconcile/state/nomad/nomadtest/agent"
)

var update = flag.Bool("update", false, "record testdata/contract from the real Nomad")

// TestContract runs the same scenarios through Client against the double and, where
// there is one, a real agent. What happens is told in a transcript, free of IDs, times
// and indices; testdata/contract holds those of the real agent, and both must tell
// the same.
func TestContract(t *testing.T) {
	t.Run("double", func(t *testing.T) {
		if *update {
			t.Skip("recording from the real Nomad")
		}
		t.Parallel()
		srv := startDouble(t, nomadtest.Options{Namespaces: []string{"apps"}, Parse: parseLittle})
		runScenarios(t, srv.URL(), compare)
	})
	binary := agent.Find(os.Getenv("NOMAD_BIN"))
	if binary == "" {
		if *update {
			t.Fatal("-update needs a real Nomad: put one on PATH or set NOMAD_BIN")
		}
		t.Log("real Nomad: not found, ran against the double alone")
		return
	}
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		real := startAgent(t, binary)
		t.Logf("real Nomad: %s", real.Version)
		if *update {
			write(t, "VERSION", real.Version+"\n")
			runScenarios(t, real.URL(), write)
			realUnplaced(t, real.URL())
			return
		}
		realUnplaced(t, real.URL())
		runScenarios(t, real.URL(), compare)
	})
}

func startDouble(t *testing.T, opts nomadtest.Options) *nomadtest.Server {
	t.Helper()
	srv, err := nomadtest.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

func newClient(t *testing.T, url string) *nomad.Client {
	t.Helper()
	c, err := nomad.New(&api.Config{Address: url})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func runScenarios(t *testing.T, url string, check func(t *testing.T, name, text string)) {
	for _, sc := range scenarios {
		t.Run(sc.name, func(t *testing.T) {
			t.Parallel()
			s := &script{t: t, Client: newClient(t, url), ctx: t.Context(), name: strings.ReplaceAll(sc.name, " ", "-")}
			sc.run(s)
			check(t, s.name+".txt", s.String())
		})
	}
}

func transcript(name string) string { return filepath.Join("testdata", "contract", name) }

func compare(t *testing.T, name, text string) {
	t.Helper()
	want, err := os.ReadFile(transcript(name))
	if err != nil {
		t.Fatalf("no transcript of the real Nomad, record one with -update: %v", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("differs from the recorded Nomad (-recorded +this):\n%s", diff)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(transcript(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(transcript(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

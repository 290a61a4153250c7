package nomad_test

import (
	"os"
	"testing"

	"nomad-reconcile/state/nomad/nomadtest/agent"
)

// startAgent runs a real Nomad until the test ends.
func startAgent(t *testing.T, binary string) *agent.Agent {
	t.Helper()
	a, err := agent.Start(agent.Options{Binary: binary, Dir: t.TempDir(), PATH: os.Getenv("PATH"), Namespaces: []string{"apps"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return a
}

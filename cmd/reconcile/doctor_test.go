package main

import (
	"os"
	"os/user"
	"path/filepath"
	"testing"
)

// The agents of a host are known by their name and their first argument.
func TestAgentUser(t *testing.T) {
	t.Parallel()
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		processes map[string][2]string // comm and cmdline by PID
		want      string
	}{
		"none":        {map[string][2]string{"1": {"init", "init"}}, ""},
		"one":         {map[string][2]string{"1": {"init", "init"}, "7": {"nomad\n", "/usr/bin/nomad\x00agent\x00-config\x00x"}}, me.Username},
		"two alike":   {map[string][2]string{"7": {"nomad", "nomad\x00agent"}, "8": {"nomad", "nomad\x00agent"}}, me.Username},
		"an executor": {map[string][2]string{"7": {"nomad", "nomad\x00executor\x00{}"}}, ""},
		"an editor":   {map[string][2]string{"7": {"vim", "vim\x00agent"}}, ""},
	}
	for name, tt := range tests {
		proc := t.TempDir()
		for pid, p := range tt.processes {
			if err := os.Mkdir(filepath.Join(proc, pid), 0o755); err != nil {
				t.Fatal(err)
			}
			for i, file := range []string{"comm", "cmdline"} {
				if err := os.WriteFile(filepath.Join(proc, pid, file), []byte(p[i]), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := agentUser(proc); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
	if got := agentUser(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("without /proc: %q", got)
	}
}

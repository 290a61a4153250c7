package jobspec_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"nomad-reconcile/state/jobspec"
)

// To open a pipe waits until somebody writes into it.
func TestAPipeIsNoFileToRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "p"), 0o600); err != nil {
		t.Skip(err)
	}
	_, diags := jobspec.Parse("a.hcl", []byte("job \"a\" {\n  region = file(\"p\")\n}\n"),
		jobspec.Inputs{FS: jobspec.FS{Dirs: []string{dir}, Root: dir}})
	if !strings.Contains(diags.Error(), "not a regular file") {
		t.Error(diags)
	}
}

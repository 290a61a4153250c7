package sudo_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nomad-reconcile/policies/sudo"
)

// TestRealSudo asks the sudo that is installed here. In a mount namespace of its
// own the sudoers file lets nobody run everything, but keep nothing of the
// environment; what sudo then says tells whether it read a demand to keep it.
func TestRealSudo(t *testing.T) {
	t.Parallel()
	real := newRealSudo(t)
	lines := generated(150)
	for _, c := range cases {
		if !strings.Contains(c.line, "${") {
			lines = append(lines, strings.Fields(c.line))
		}
	}
	compared := 0
	for _, args := range lines {
		args = append([]string{"-n"}, args...)
		preserves, answered := real.preserves(t, args)
		if !answered {
			continue
		}
		compared++
		if got := len(sudo.PreserveEnv(args)) > 0; got != preserves {
			t.Errorf("sudo %q: got %v, sudo itself %v", args, got, preserves)
		}
	}
	t.Logf("compared %d of %d command lines", compared, len(lines))
	if compared < 40 {
		t.Errorf("only %d of %d command lines could be compared", compared, len(lines))
	}
}

// generated makes command lines of words that lie in each other's way, the same
// ones in every run.
func generated(n int) [][]string {
	words := []string{
		"-E", "-nE", "-En", "-uE", "-u", "-p", "-nEu", "-r", "-t", "-H", "-S", "-P", "-k", "-B", "-C", "3",
		"--preserve-env", "--preserve-env=KEPT", "--preserve-e", "--user", "--us=root", "--role", "--stdin",
		"A=1", "B=2", "root", "true", "--", "-N", "-pE",
	}
	r := rand.New(rand.NewPCG(1, 9))
	lines := make([][]string, n)
	for i := range lines {
		for range r.IntN(5) + 1 {
			lines[i] = append(lines[i], words[r.IntN(len(words))])
		}
		lines[i] = append(lines[i], "true", "-E")
	}
	return lines
}

type realSudo struct{ sudoers string }

func newRealSudo(t *testing.T) realSudo {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for a mount namespace")
	}
	for _, name := range []string{"sudo", "setpriv", "mount"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs %s", name)
		}
	}
	version, _ := exec.Command("sudo", "--version").CombinedOutput()
	if !bytes.HasPrefix(version, []byte("Sudo version 1.9")) {
		t.Skipf("needs sudo 1.9, this is %s", bytes.TrimSpace(version))
	}
	r := realSudo{filepath.Join(t.TempDir(), "sudoers")}
	rules := "Defaults env_reset, !syslog\nnobody ALL=(ALL:ALL) NOPASSWD: NOSETENV: ALL\n"
	if err := os.WriteFile(r.sudoers, []byte(rules), 0o440); err != nil {
		t.Fatal(err)
	}
	if out, err := r.run("-n", "true"); err != nil {
		t.Skipf("sudo cannot be asked here: %v: %s", err, out)
	}
	return r
}

func (r realSudo) run(args ...string) (string, error) {
	script := `mount --bind "$0" /etc/sudoers && exec setpriv --reuid=nobody --regid=65534 --clear-groups sudo "$@"`
	cmd := exec.Command("sh", append([]string{"-c", script, r.sudoers}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "KEPT=1", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// preserves: sudo refuses -E in these words, and a list of variables by the names
// of those that are set, as it refuses assignments (none of the lines assigns
// KEPT). Where it stops at something else, it did not say how it read the options.
func (r realSudo) preserves(t *testing.T, args []string) (preserves, answered bool) {
	t.Helper()
	out, err := r.run(args...)
	_, refused, isList := strings.Cut(out, "not allowed to set the following environment variables: ")
	switch {
	case strings.Contains(out, "not allowed to preserve the environment"):
		return true, true
	case isList:
		return strings.Contains(refused, "KEPT"), true
	}
	return false, err == nil && !slices.Contains(args, "--preserve-env=")
}

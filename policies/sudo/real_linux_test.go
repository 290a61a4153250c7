package sudo_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRealSudo asks the sudo that is installed here. In a mount namespace of its
// own the sudoers file lets nobody run everything, but keep nothing of the
// environment; what sudo then says tells whether it read a demand to keep it.
func TestRealSudo(t *testing.T) {
	t.Parallel()
	real := newRealSudo(t)
	lines := slices.Concat(generated(150), shortLines(), longLines(), orderLines())
	for _, c := range cases {
		if !strings.Contains(c.line, "${") {
			lines = append(lines, strings.Fields(c.line))
		}
	}
	slices.SortFunc(lines, slices.Compare[[]string])
	lines = slices.CompactFunc(lines, slices.Equal[[]string])
	var compared, asking int
	for _, args := range lines {
		args = append([]string{"-n"}, args...)
		preserves, answered := real.preserves(t, args)
		if !answered {
			continue
		}
		compared++
		if preserves {
			asking++
		}
		if got := asks(args); got != preserves {
			t.Errorf("sudo %q: got %v, sudo itself %v", args, got, preserves)
		}
	}
	t.Logf("compared %d of %d command lines; %d ask for the environment, %d do not", compared, len(lines), asking, compared-asking)
	if asking < 100 || compared-asking < 50 {
		t.Errorf("too few command lines could be compared")
	}
}

// values are what an option may be given so that sudo itself goes on.
var values = map[string]string{
	"C": "3", "D": "/", "g": "root", "h": "localhost", "p": "ask", "R": "/", "T": "5", "u": "root", "U": "root",
	"close-from": "3", "chdir": "/", "group": "root", "host": "localhost", "prompt": "ask", "chroot": "/",
	"command-timeout": "5", "user": "root", "other-user": "root",
}

// shortLines bundle -E with every short option, before it and after it, and with
// each option's value joined, apart, or taking -E for it.
func shortLines() [][]string {
	var out [][]string
	for _, letter := range strings.Split("AaBbCcDEeghHiKklNnpPRrSsTtUuvV", "") {
		value, ok := values[letter]
		if !ok {
			value = "root"
		}
		out = append(out,
			[]string{"-" + letter, "-E", "true"}, []string{"-E" + letter, "true", "-E"}, []string{"-" + letter + "E", "true"},
			[]string{"-" + letter, value, "true", "-E"}, []string{"-" + letter + value, "-E", "true"},
			[]string{"-E" + letter, value, "true"}, []string{"-nE" + letter + value, "true"},
			[]string{"-" + letter, value, "-E", "true"}, []string{"-" + letter, "--", "-E", "true"},
		)
	}
	return out
}

// longLines say every long option, whole and by every beginning, alone, with a
// value joined and a value apart.
func longLines() [][]string {
	var out [][]string
	for _, name := range strings.Fields("askpass auth-type background bell chdir chroot close-from command-timeout edit group help host" +
		" list login login-class no-update non-interactive other-user preserve-env preserve-groups prompt remove-timestamp" +
		" reset-timestamp role set-home shell stdin type user validate version") {
		value, ok := values[name]
		if !ok {
			value = "KEPT"
		}
		for _, short := range []string{name, name[:min(4, len(name))], name[:2]} {
			out = append(out,
				[]string{"--" + short, "-E", "true"}, []string{"--" + short, "true", "-E"},
				[]string{"--" + short + "=" + value, "-E", "true"}, []string{"--" + short + "=" + value, "true", "-E"},
			)
		}
	}
	for i := range len("preserve-env") {
		out = append(out, []string{"--preserve-env"[:3+i], "true"}, []string{"--preserve-env"[:3+i] + "=KEPT", "true"})
	}
	return out
}

// orderLines put options, values, assignments and the end of options into every
// order.
func orderLines() [][]string {
	words := []string{"-E", "-u", "root", "A=1", "--", "true"}
	var out [][]string
	var add func(line []string)
	add = func(line []string) {
		if len(line) == 3 {
			out = append(out, append(slices.Clone(line), "true"))
			return
		}
		for _, w := range words {
			if !slices.Contains(line, w) {
				add(append(slices.Clone(line), w))
			}
		}
	}
	add(nil)
	return out
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
	rules := "Defaults env_reset, !syslog, closefrom_override, user_command_timeouts\nnobody ALL=(ALL:ALL) CWD=* CHROOT=* NOPASSWD: NOSETENV: ALL\n"
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
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", append([]string{"-c", script, r.sudoers}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "KEPT=1", "LC_ALL=C", "SUDO_EDITOR=true", "SHELL=/bin/true"}
	cmd.WaitDelay = time.Second
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

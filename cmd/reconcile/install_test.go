package main_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/config"
)

// makes runs a target of the Makefile against root as the host.
func makes(t *testing.T, target, root string, vars ...string) string {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make here")
	}
	cmd := exec.Command("make", append([]string{"-C", "../..", target, "DESTDIR=" + root}, vars...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make %s: %v\n%s", target, err, out)
	}
	return string(out)
}

// installed are the files below root with their modes.
func installed(t *testing.T, root string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files[strings.TrimPrefix(path, root)] = info.Mode().String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// testBinary stands in for what was built: building is not what is tried.
func testBinary(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "built")
	if err := os.WriteFile(bin, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return "BIN=" + bin
}

func TestMakeInstall(t *testing.T) {
	t.Parallel()
	root, bin := t.TempDir(), testBinary(t)
	said := makes(t, "install", root, "PREFIX=/opt/r", bin)
	if !strings.Contains(said, "systemctl enable --now reconcile") {
		t.Errorf("what to type next is not said:\n%s", said)
	}
	want := map[string]string{
		"/opt/r/bin/reconcile":                        "-rwxr-xr-x",
		"/opt/r/lib/systemd/system/reconcile.service": "-rw-r--r--",
		"/opt/r/lib/sysusers.d/reconcile.conf":        "-rw-r--r--",
		"/opt/r/share/reconcile/edit-any-owner.conf":  "-rw-r--r--",
		"/opt/r/share/reconcile/host-gates.conf":      "-rw-r--r--",
		"/etc/reconcile/reconcile.hcl":                "-rw-r--r--",
	}
	if diff := cmp.Diff(want, installed(t, root)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	unit := filepath.Join(root, "opt/r/lib/systemd/system/reconcile.service")
	if text := read(t, unit); !strings.Contains(text, "\nExecStart=/opt/r/bin/reconcile agent -config /etc/reconcile/reconcile.hcl\n") {
		t.Errorf("the unit starts something else:\n%s", text)
	}

	own := filepath.Join(root, "etc/reconcile/reconcile.hcl")
	if err := os.WriteFile(own, []byte("# mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	makes(t, "install", root, "PREFIX=/opt/r", bin)
	makes(t, "uninstall", root, "PREFIX=/opt/r")
	if diff := cmp.Diff(map[string]string{"/etc/reconcile/reconcile.hcl": "-rw-r--r--"}, installed(t, root)); diff != "" || read(t, own) != "# mine\n" {
		t.Errorf("after an update and the end (-want +got):\n%s", diff)
	}
}

func TestMakeInstallWantsABuild(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make here")
	}
	root := t.TempDir()
	out, err := exec.Command("make", "-C", "../..", "install", "DESTDIR="+root, "BIN="+root+"/none").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "type make first") || len(installed(t, root)) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// systemd itself reads the unit with each drop-in, and has nothing to say.
func TestUnitIsUnderstood(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here")
	}
	for _, dropIn := range []string{"", "edit-any-owner.conf", "host-gates.conf"} {
		t.Run("with "+dropIn, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			makes(t, "install", root, testBinary(t))
			host(t, root)
			if dropIn != "" {
				put(t, root, "etc/systemd/system/reconcile.service.d/x.conf", read(t, filepath.Join(root, "usr/local/share/reconcile", dropIn)), 0o644)
			}
			out, err := exec.Command("systemd-analyze", "verify", "--root="+root, "reconcile.service").CombinedOutput()
			if err != nil || len(out) > 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// host is as much of a machine as the unit leans on.
func host(t *testing.T, root string) {
	t.Helper()
	for _, unit := range []string{"sysinit", "basic", "shutdown", "multi-user", "network-online"} {
		put(t, root, "etc/systemd/system/"+unit+".target", "[Unit]\n", 0o644)
	}
	put(t, root, "bin/kill", "#!/bin/sh\n", 0o755)
}

func put(t *testing.T, root, name, text string, mode fs.FileMode) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// What is installed only reports, keeps its state where the unit lets it, answers
// nobody but this machine, and looks where the unit lets it write.
func TestInstalledConfiguration(t *testing.T) {
	t.Parallel()
	c, diags := config.Load("/etc/reconcile/reconcile.hcl", []byte(read(t, "../../config/deploy/reconcile.hcl")))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if diff := cmp.Diff(config.Default(".").Sync, c.Sync); diff != "" {
		t.Errorf("it does something by itself:\n%s", diff)
	}
	unit := read(t, "../../config/deploy/reconcile.service")
	for _, line := range []string{
		"StateDirectory=" + filepath.Base(c.State.Dir.Abs), "ReadWritePaths=-" + c.Sources[0].Path.Abs, "WorkingDirectory=" + filepath.Dir(c.Path),
	} {
		if !strings.Contains(unit, "\n"+line+"\n") {
			t.Errorf("the unit has no line %s", line)
		}
	}
	if filepath.Dir(c.State.Dir.Abs) != "/var/lib" || c.HTTP.Address != "127.0.0.1:9464" {
		t.Errorf("state in %s, HTTP on %s", c.State.Dir.Abs, c.HTTP.Address)
	}
}

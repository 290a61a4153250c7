package gates

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/nomad"
)

func TestDecodeSudoersMistakes(t *testing.T) {
	t.Parallel()
	checkMistakes(t, "sudoers", map[string]string{
		``:                                      "1:1 No user: Say who must be allowed to run the command: the user of the task.\n1:1 No command: Say the command with its whole path, as sudoers does.",
		"user = \"a\"\ncommand = \"start.sh\"":  `2:11 No command: Say the command with its whole path, as sudoers does.`,
		"user = \"-x\"\ncommand = \"/a\"":       `1:8 Not a user: "-x" is no name of a user.`,
		"user = \"a,host=b\"\ncommand = \"/a\"": `1:8 Not a user: "a,host=b" is no name of a user.`,
		"user = \"a\"\ncommand = \"/a\"\nno_passwd = true":       `3:1 Unsupported argument: An argument named "no_passwd" is not expected here. Did you mean "nopasswd"?`,
		"user = \"a\"\ncommand = \"/a\"\nnopasswd = \"perhaps\"": `3:12 Wrong type: nopasswd must be true or false, not a string.`,
		"user = \"a\"\ncommand = \"/a -b c\"\nenv_reset = false": "",
	})
}

func TestSudoersString(t *testing.T) {
	t.Parallel()
	g := gate(t, "sudoers", "n", "user = \"app\"\ncommand = \"/opt/start.sh now\"\nnopasswd = true\nsetenv = false\nenv_reset = false")
	if got := g.Spec.(*sudoersGate).String(); got != "app may run /opt/start.sh now as root, NOPASSWD, NOSETENV, !env_reset" {
		t.Error(got)
	}
}

// seed is what the seed's runbook wants of its host, in the form of cvtsudoers.
const seed = `{"Defaults": [
  {"Options": [{"env_reset": true}]},
  {"Options": [{"operation": "list_add", "env_keep": ["LANG"]}]},
  {"Binding": [{"command": "/opt/start.sh"}], "Options": [{"env_reset": false}]}
], "User_Specs": [{"Cmnd_Specs": [
  {"runasusers": [{"username": "ALL"}], "Options": [{"authenticate": false}], "Commands": [{"command": "/opt/start.sh"}]}
]}]}`

func TestReadSudoers(t *testing.T) {
	t.Parallel()
	rules := func(specs string) string { return `{"User_Specs": [{"Cmnd_Specs": [` + specs + `]}]}` }
	start := `{"Options": [{"authenticate": false}], "Commands": [{"command": "/opt/start.sh"}]}`
	tests := map[string]struct{ doc, user, runas, command, want string }{
		"seed":                {seed, "app", "root", "/opt/start.sh", "NOPASSWD NOSETENV !env_reset"},
		"other command":       {seed, "app", "root", "/opt/stop.sh", "sudo allows it, but no rule of sudoers says so: it may come from LDAP or SSSD"},
		"for root alone":      {rules(start), "app", "postgres", "/opt/start.sh", "sudo allows it, but no rule of sudoers says so: it may come from LDAP or SSSD"},
		"no defaults":         {rules(start), "app", "root", "/opt/start.sh", "NOPASSWD NOSETENV env_reset"},
		"the last one counts": {rules(start + `, {"Options": [{"setenv": true}], "Commands": [{"command": "ALL"}]}`), "app", "root", "/opt/start.sh", "PASSWD SETENV env_reset"},
		"the last forbids":    {rules(start + `, {"Commands": [{"command": "/opt/", "negated": true}]}`), "app", "root", "/opt/start.sh", "sudo allows it, though the last rule that fits forbids /opt/"},
		"arguments":           {rules(`{"Commands": [{"command": "/opt/x -a *"}]}`), "app", "root", "/opt/x -a b/c d", "PASSWD NOSETENV env_reset"},
		"other arguments":     {rules(`{"Commands": [{"command": "/opt/x -a *"}]}`), "app", "root", "/opt/x -b", "sudo allows it, but no rule of sudoers says so: it may come from LDAP or SSSD"},
		"no arguments":        {rules(`{"Commands": [{"command": "/opt/x \"\""}]}`), "app", "root", "/opt/x", "PASSWD NOSETENV env_reset"},
		"glob":                {rules(`{"Commands": [{"command": "/opt/*/x[0-9]"}]}`), "app", "root", "/opt/a/x7", "PASSWD NOSETENV env_reset"},
		"glob and slashes":    {rules(`{"Commands": [{"command": "/opt/*"}]}`), "app", "root", "/opt/a/b", "sudo allows it, but no rule of sudoers says so: it may come from LDAP or SSSD"},
		"regular expression":  {rules(`{"Commands": [{"command": "^/opt/(a|b)$"}]}`), "app", "root", "/opt/b", "PASSWD NOSETENV env_reset"},
		"folder":              {rules(`{"Commands": [{"command": "/opt/"}]}`), "app", "root", "/opt/b", "PASSWD NOSETENV env_reset"},
		"user's default":      {`{"Defaults": [{"Binding": [{"username": "app"}], "Options": [{"authenticate": false}, {"setenv": true}]}], ` + rules(`{"Commands": [{"command": "ALL"}]}`)[1:], "app", "root", "/x", "NOPASSWD SETENV env_reset"},
		"target's default":    {`{"Defaults": [{"Binding": [{"username": "postgres"}], "Options": [{"setenv": true}]}], ` + rules(`{"runasusers": [{"username": "ALL"}], "Commands": [{"command": "ALL"}]}`)[1:], "app", "postgres", "/x", "PASSWD SETENV env_reset"},
		"other target":        {`{"Defaults": [{"Binding": [{"username": "postgres"}], "Options": [{"setenv": true}]}], ` + rules(`{"Commands": [{"command": "ALL"}]}`)[1:], "app", "root", "/x", "PASSWD NOSETENV env_reset"},
		"root":                {rules(`{"Commands": [{"command": "ALL"}]}`), "root", "root", "/x", "NOPASSWD NOSETENV env_reset"},
		"not JSON":            {`?`, "app", "root", "/x", "cvtsudoers prints what cannot be read: invalid character '?' looking for beginning of value"},
	}
	for name, tt := range tests {
		r, err := readSudoers([]byte(tt.doc), tt.user, tt.runas, strings.Fields(tt.command))
		var got []string
		for _, tag := range new(sudoersGate).tags(r) {
			got = append(got, tag.name(tag.is))
		}
		if err != nil {
			got = []string{err.Error()}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: got %s, want %s", name, s, tt.want)
		}
	}
}

// sudoOf is a gate whose sudo and cvtsudoers are these scripts.
func sudoOf(t *testing.T, src, sudo, cvtsudoers string) policies.Gate {
	t.Helper()
	dir := t.TempDir()
	g := gate(t, "sudoers", "n", "user = \"app\"\ncommand = \"/opt/start.sh\"\n"+src)
	spec := g.Spec.(*sudoersGate)
	spec.host = sudoHost{filepath.Join(dir, "my-sudo"), filepath.Join(dir, "my-cvtsudoers"), "/etc/sudoers"}
	for path, script := range map[string]string{spec.host.sudo: sudo, spec.host.cvtsudoers: cvtsudoers} {
		if script == "" {
			continue
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+strings.ReplaceAll(script, "SEED", "cat <<'EOF'\n"+seed+"\nEOF\n")), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

func TestSudoersGate(t *testing.T) {
	t.Parallel()
	const may = "app may run /opt/start.sh as root"
	tests := map[string]struct{ src, sudo, cvtsudoers, want string }{
		"passes":         {"nopasswd = true\nenv_reset = false", "exit 0", "SEED", "passed: " + may + ": NOPASSWD, NOSETENV, !env_reset"},
		"allowed alone":  {"", `[ "$*" = "-n -l -U app -u root -- /opt/start.sh" ]`, "", "passed: " + may},
		"missing tag":    {"setenv = true\nnopasswd = true", "exit 0", "SEED", "failed: " + may + ": NOPASSWD, NOSETENV, !env_reset; SETENV is missing"},
		"tag too much":   {"nopasswd = false", "exit 0", "SEED", "failed: " + may + ": NOPASSWD, NOSETENV, !env_reset; NOPASSWD is too much"},
		"env_reset":      {"env_reset = true", "exit 0", "SEED", "failed: " + may + ": NOPASSWD, NOSETENV, !env_reset; env_reset must be in force: write `Defaults!/opt/start.sh env_reset`"},
		"not allowed":    {"nopasswd = true", "exit 1", "SEED", "failed: app may not run /opt/start.sh as root on this host: sudoers lacks a rule for it, with NOPASSWD"},
		"unknown user":   {"optional = true", "echo 'sudo: unknown user app' >&2; exit 1", "SEED", "failed: sudo: unknown user app"},
		"no right":       {"", "echo 'sudo: a password is required' >&2; exit 1", "SEED", "failed: cannot tell: sudo: a password is required (run reconcile as root)"},
		"optional":       {"optional = true", "echo 'sudo: a password is required' >&2; exit 1", "SEED", "passed: cannot tell, and it is optional: sudo: a password is required (run reconcile as root)"},
		"unreadable":     {"nopasswd = true", "exit 0", "echo 'cvtsudoers: unable to open /etc/sudoers: Permission denied' >&2; exit 1", "failed: cannot tell: cvtsudoers: cvtsudoers: unable to open /etc/sudoers: Permission denied"},
		"no sudo":        {"", "", "", "failed: cannot tell: SUDO is not installed on this host"},
		"no cvtsudoers":  {"setenv = false", "exit 0", "", "failed: cannot tell: CVT is not installed on this host"},
		"optional fails": {"optional = true\nsetenv = true", "exit 0", "SEED", "failed: " + may + ": NOPASSWD, NOSETENV, !env_reset; SETENV is missing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := sudoOf(t, tt.src, tt.sudo, tt.cvtsudoers)
			host := g.Spec.(*sudoersGate).host
			if got := verdictOf(Run(t.Context(), &fake{}, Change{}, g), host.sudo, "SUDO", host.cvtsudoers, "CVT"); got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestSudoersGateOnOtherNodes(t *testing.T) {
	t.Parallel()
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t)
	change := c.run(sleepers("web", 0))
	away := stub("a1", "running", nil)
	for name, tt := range map[string]struct {
		nomad  Nomad
		change Change
		src    string
		want   string
	}{
		"here":      {c, change, "", "passed: app may run /opt/start.sh as root"},
		"elsewhere": {&fake{allocs: []*api.AllocationListStub{away}}, Change{Job: testJob("web")}, "", "failed: cannot tell: allocation a1 is on node elsewhere, and this is HERE"},
		"optional":  {&fake{allocs: []*api.AllocationListStub{away}}, Change{Job: testJob("web")}, "optional = true", "passed: cannot tell, and it is optional: allocation a1 is on node elsewhere, and this is HERE"},
		"no Nomad":  {&fake{fault: nomad.ErrUnreachable}, Change{Job: testJob("web")}, "", "failed: cannot tell: no answer from Nomad"},
	} {
		if got := verdictOf(Run(t.Context(), tt.nomad, tt.change, sudoOf(t, tt.src, "exit 0", "SEED")), here, "HERE"); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", name, got, tt.want)
		}
	}
}

func TestSudoersGateEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	start := time.Now()
	if got := verdictOf(Run(ctx, &fake{}, Change{}, sudoOf(t, "", "sleep 600", ""))); got != "failed: interrupted" || time.Since(start) > 5*time.Second {
		t.Errorf("%s after %s", got, time.Since(start))
	}
}

// TestRealCvtsudoers: what the real one makes of sudoers is what is read here.
func TestRealCvtsudoers(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("cvtsudoers"); err != nil {
		t.Skip("no cvtsudoers on the PATH")
	}
	file := filepath.Join(t.TempDir(), "sudoers")
	text := `Defaults env_reset
Cmnd_Alias START = /opt/start.sh, /opt/stop.sh
Defaults!START !env_reset
Defaults:root !authenticate
daemon ALL=(ALL) NOPASSWD: START, !/opt/bad.sh, SETENV: /opt/x -a *
nobody ALL=(ALL) ALL
daemon otherhost=(ALL) NOPASSWD: ALL
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for command, want := range map[string]string{
		"/opt/start.sh": "{true false false daemon ALL=(ALL) NOPASSWD: /opt/start.sh}", "/opt/x -a b": "{true true true daemon ALL=(ALL) NOPASSWD: SETENV: /opt/x -a *}",
		"/opt/bad.sh": "sudo allows it, though the last rule that fits forbids /opt/bad.sh",
		"/opt/other":  "sudo allows it, but no rule of sudoers says so: it may come from LDAP or SSSD",
	} {
		g := &sudoersGate{user: "daemon", runas: "root", command: strings.Fields(command), host: sudoHost{file: file}}
		r, err := g.rule(t.Context())
		got := fmt.Sprint(r)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", command, got, want)
		}
	}
}

func TestAskSudo(t *testing.T) {
	t.Parallel()
	const wants = `[ "$*" = "-n -l -U app -u root -- start.sh now" ] || exit 9; `
	tests := map[string]struct{ sudo, cvtsudoers, want string }{
		"allowed":     {wants + "echo /opt/start.sh now", "SEED", "{true true false false app ALL=(ALL) NOPASSWD: /opt/start.sh /opt/start.sh}"},
		"not allowed": {"exit 1", "", "{false false false false  start.sh}"},
		"no right":    {"echo 'sudo: a password is required' >&2; exit 1", "", "sudo: a password is required"},
		"unreadable":  {"echo /opt/start.sh", "echo no >&2; exit 1", "cvtsudoers: no"},
		"no sudo":     {"", "", "SUDO is not installed on this host"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := sudoOf(t, "", tt.sudo, tt.cvtsudoers).Spec.(*sudoersGate).host
			says, err := askSudo(t.Context(), host, "app", "", []string{"start.sh", "now"})
			got := fmt.Sprint(says)
			if err != nil {
				got = strings.ReplaceAll(err.Error(), host.sudo, "SUDO")
			}
			if got != tt.want {
				t.Errorf("\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

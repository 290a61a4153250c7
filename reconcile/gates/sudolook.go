package gates

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// SudoSays is what the sudo of this host says about a command.
type SudoSays struct {
	Allowed                    bool
	NoPasswd, SetEnv, EnvReset bool   // where it is allowed
	Rule                       string // of sudoers, the one that decides
	Command                    string // with its whole path, as sudo finds it
}

// AskSudo asks the sudo of this host whether a user may run a command as another
// one, and how. An error says why that cannot be told here.
func AskSudo(ctx context.Context, user, runas string, command []string) (SudoSays, error) {
	return askSudo(ctx, sudoHost{file: sudoersFile}, user, runas, command)
}

func askSudo(ctx context.Context, host sudoHost, user, runas string, command []string) (SudoSays, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	g := &sudoersGate{user: user, runas: cmp.Or(runas, "root"), command: command, host: host}
	out, stderr, code, err := g.ask(ctx, cmp.Or(host.sudo, "sudo"), append([]string{"-n", "-l", "-U", g.user, "-u", g.runas, "--"}, command...)...)
	switch {
	case err != nil:
		return SudoSays{}, err
	case code != 0 && stderr == "":
		return SudoSays{Command: command[0]}, nil
	case code != 0:
		return SudoSays{}, fmt.Errorf("%s", excerpt(stderr))
	}
	if path, _, _ := strings.Cut(strings.TrimSpace(out), " "); filepath.IsAbs(path) {
		g.command = append([]string{path}, command[1:]...)
	}
	r, err := g.rule(ctx)
	if err != nil {
		return SudoSays{}, err
	}
	return SudoSays{true, r.nopasswd, r.setenv, r.envReset, r.text, g.command[0]}, nil
}

// User is whom the gate asks about.
func (g *sudoersGate) User() string { return g.user }

package gates

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
)

const (
	commandTimeout = 30 * time.Second
	// outputCap is the most that is kept of each output.
	outputCap = 1 << 20
	// stragglers is how long output is read on that a child of the command holds open.
	stragglers = 500 * time.Millisecond
)

// commandGate runs a command once, on this host.
type commandGate struct {
	argv    []string
	dir     string
	timeout time.Duration
	env     []string            // NAME=value: all that the command gets
	secrets []string            // values of env that are not shown
	assert  *policies.Assertion // nil: an exit code of 0
}

var resultSees = map[string][]string{"result": {"exit_code", "stderr", "stdout"}}

// decodeCommand: environ is what pass_env takes from.
func decodeCommand(environ []string, body hcl.Body) (any, hcl.Diagnostics) {
	a := attributesOf(body, keys["command"])
	g := &commandGate{argv: a.texts("command"), dir: a.file("dir"), timeout: a.duration("timeout", commandTimeout), assert: a.assertion("assert", resultSees)}
	if !a.has("command") || a.has("command") && len(g.argv) == 0 && !a.diags.HasErrors() || len(g.argv) > 0 && g.argv[0] == "" {
		a.fail("command", "No command", `Name the program and its arguments: command = ["ip", "netns", "list"]. No shell reads them.`)
	}
	own := a.textMap("env")
	for name, v := range own {
		g.set(a, "env", name, v)
	}
	for _, name := range a.texts("pass_env") {
		if _, twice := own[name]; twice {
			a.fail("pass_env", "Set twice", "%q is in env too. Leave it out of one of them.", name)
		}
		if v, ok := lookUp(environ, name); ok {
			g.set(a, "pass_env", name, v)
		}
	}
	slices.Sort(g.env)
	return g, a.diags
}

func (g *commandGate) set(a *attributes, key, name, v string) {
	if name == "" || strings.ContainsAny(name, "=\x00") || strings.Contains(v, "\x00") {
		a.fail(key, "Not a variable", "%q cannot be set in an environment.", name)
		return
	}
	g.env = append(g.env, name+"="+v)
	if job.IsSecretName(name) && v != "" {
		g.secrets = append(g.secrets, v)
	}
}

// lookUp: of several the last counts, as in a process.
func lookUp(environ []string, name string) (string, bool) {
	for _, entry := range slices.Backward(environ) {
		if k, v, ok := strings.Cut(entry, "="); ok && k == name {
			return v, true
		}
	}
	return "", false
}

// String says for a plan what the gate runs.
func (g *commandGate) String() string {
	want := "exit code 0"
	if g.assert != nil {
		want = "its assert holds"
	}
	return job.RedactText(fmt.Sprintf("%s, %s, within %s", strings.Join(g.argv, " "), want, g.timeout))
}

// Check runs the command and judges what it did.
func (g *commandGate) Check(ctx context.Context, _ Nomad, _ Change) (bool, string) {
	running, cancel := context.WithTimeout(ctx, g.timeout)
	defer cancel()
	var stdout, stderr capped
	code, err := g.run(running, &stdout, &stderr)
	said := g.said(stdout.String(), stderr.String())
	switch {
	case ctx.Err() != nil:
		return false, over(ctx, "killed"+said)
	case running.Err() != nil:
		return false, fmt.Sprintf("killed after %s%s", g.timeout, said)
	case err != nil:
		return false, err.Error()
	}
	return g.judge(code, stdout.String(), stderr.String())
}

// run gives the exit code, -1 where a signal ended it. Whatever the command has
// started ends with it.
func (g *commandGate) run(ctx context.Context, stdout, stderr *capped) (int, error) {
	cmd := exec.CommandContext(ctx, g.argv[0], g.argv[1:]...)
	cmd.Dir, cmd.Env = g.dir, append([]string{}, g.env...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = stdout, stderr, stragglers
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	group := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = group
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("starting %s: %w", g.argv[0], err)
	}
	err := cmd.Wait()
	_ = group() // ESRCH: nothing is left of it
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended && !errors.Is(err, exec.ErrWaitDelay) {
		return 0, fmt.Errorf("running %s: %w", g.argv[0], err)
	}
	return cmd.ProcessState.ExitCode(), nil
}

func (g *commandGate) judge(code int, stdout, stderr string) (bool, string) {
	saw := fmt.Sprintf("exit code %d", code)
	if code < 0 {
		saw = "ended by a signal"
	}
	ok, saw := asserted(g.assert, code == 0, saw, "result", func() cty.Value {
		return cty.ObjectVal(map[string]cty.Value{
			"exit_code": cty.NumberIntVal(int64(code)),
			"stdout":    cty.StringVal(strings.ToValidUTF8(stdout, "\uFFFD")),
			"stderr":    cty.StringVal(strings.ToValidUTF8(stderr, "\uFFFD")),
		})
	})
	if ok {
		return true, saw
	}
	return false, saw + g.said(stdout, stderr)
}

// said is the beginning of what the command wrote.
func (g *commandGate) said(stdout, stderr string) string {
	out := ""
	for _, s := range []struct{ name, text string }{{"stderr", stderr}, {"stdout", stdout}} {
		for _, secret := range g.secrets {
			s.text = strings.ReplaceAll(s.text, secret, job.Redacted)
		}
		if text := excerpt(s.text); text != "" {
			out += fmt.Sprintf("; %s: %s", s.name, text)
		}
	}
	return out
}

// capped keeps the beginning of an output and takes the rest too, so that the
// command goes on.
type capped struct{ strings.Builder }

// Write keeps what still fits.
func (c *capped) Write(p []byte) (int, error) {
	c.Builder.Write(p[:min(len(p), outputCap-c.Len())])
	return len(p), nil
}

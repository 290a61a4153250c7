package gates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// sudoersGate asks the sudo of this host whether a user may run a command as the
// policy says. Only sudo's own programs read sudoers.
type sudoersGate struct {
	user, runas                string
	command                    []string // path and arguments
	nopasswd, setenv, envReset *bool    // nil: either way
	optional                   bool
	host                       sudoHost
}

// sudoHost is where sudo's programs and files are; empty names are looked for.
type sudoHost struct{ sudo, cvtsudoers, file string }

const sudoersFile = "/etc/sudoers"

func decodeSudoers(_ string, body hcl.Body) (any, hcl.Diagnostics) {
	a := attributesOf(body, keys["sudoers"])
	g := &sudoersGate{
		user: a.text("user", ""), runas: a.text("runas", "root"), command: strings.Fields(a.text("command", "")),
		nopasswd: a.flag("nopasswd"), setenv: a.flag("setenv"), envReset: a.flag("env_reset"), optional: value(a.flag("optional")),
		host: sudoHost{file: sudoersFile},
	}
	if !a.has("user") {
		a.fail("user", "No user", "Say who must be allowed to run the command: the user of the task.")
	}
	if len(g.command) == 0 || !filepath.IsAbs(g.command[0]) {
		a.fail("command", "No command", "Say the command with its whole path, as sudoers does.")
	}
	for _, name := range []string{"user", "runas"} {
		if v := a.text(name, ""); strings.HasPrefix(v, "-") || strings.ContainsAny(v, " ,=") {
			a.fail(name, "Not a user", "%q is no name of a user.", v)
		}
	}
	return g, a.diags
}

// String says for a plan what the gate asks.
func (g *sudoersGate) String() string {
	out := fmt.Sprintf("%s may run %s as %s", g.user, strings.Join(g.command, " "), g.runas)
	for _, t := range g.tags(sudoRule{}) {
		if t.want != nil {
			out += ", " + t.name(*t.want)
		}
	}
	return out
}

// cannotTell is a reason why the question has no answer here.
type cannotTell struct{ error }

// Check asks sudo, where the job's allocations are on this host.
func (g *sudoersGate) Check(ctx context.Context, n Nomad, c Change) (bool, string) {
	saw, err := g.look(ctx)
	if err == nil {
		if elsewhere := otherNodes(ctx, n, c); elsewhere != nil {
			err = cannotTell{elsewhere}
		}
	}
	switch _, unsure := errors.AsType[cannotTell](err); {
	case ctx.Err() != nil:
		return false, over(ctx, "")
	case unsure && g.optional:
		return true, "cannot tell, and it is optional: " + err.Error()
	case unsure:
		return false, "cannot tell: " + err.Error()
	case err != nil:
		return false, err.Error()
	}
	return true, saw
}

// otherNodes is an error that names a node with allocations which is not this host.
func otherNodes(ctx context.Context, n Nomad, c Change) error {
	here, err := os.Hostname()
	if err != nil {
		return err
	}
	if c.Job == nil {
		return nil
	}
	allocs, err := Fresh(ctx, n, c)
	if err != nil {
		return err
	}
	slices.SortFunc(allocs, func(a, b *api.AllocationListStub) int { return cmp.Compare(a.NodeID, b.NodeID) })
	for _, a := range slices.CompactFunc(allocs, func(a, b *api.AllocationListStub) bool { return a.NodeID == b.NodeID }) {
		node, err := n.Node(ctx, a.NodeID)
		if err != nil {
			return err
		}
		if node.Attributes["unique.hostname"] != here {
			return fmt.Errorf("allocation %s is on node %s, and this is %s", short(a.ID), node.Name, here)
		}
	}
	return nil
}

// look asks this host's sudo. The error is what is wrong, or a cannotTell.
func (g *sudoersGate) look(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	if err := g.allowed(ctx); err != nil {
		return "", err
	}
	who := fmt.Sprintf("%s may run %s as %s", g.user, strings.Join(g.command, " "), g.runas)
	if g.nopasswd == nil && g.setenv == nil && g.envReset == nil {
		return who, nil
	}
	rule, err := g.rule(ctx)
	if err != nil {
		return "", err
	}
	var has, wrong []string
	for _, t := range g.tags(rule) {
		has = append(has, t.name(t.is))
		if t.want != nil && *t.want != t.is {
			wrong = append(wrong, t.complaint())
		}
	}
	saw := who + ": " + strings.Join(has, ", ")
	if len(wrong) > 0 {
		return "", errors.New(saw + "; " + strings.Join(wrong, "; "))
	}
	return saw, nil
}

// tag is one thing that sudoers says about a command, in its own words.
type tag struct {
	want    *bool
	is      bool
	on, off string
	line    string // what sets it off where it is on by default; empty for a tag of the rule
}

func (g *sudoersGate) tags(r sudoRule) []tag {
	return []tag{
		{g.nopasswd, r.nopasswd, "NOPASSWD", "PASSWD", ""},
		{g.setenv, r.setenv, "SETENV", "NOSETENV", ""},
		{g.envReset, r.envReset, "env_reset", "!env_reset", "Defaults!" + strings.Join(g.command[:min(1, len(g.command))], "")},
	}
}

func (t tag) name(on bool) string {
	if on {
		return t.on
	}
	return t.off
}

func (t tag) complaint() string {
	switch {
	case t.line != "":
		return fmt.Sprintf("%s must be in force: write `%s %s`", t.name(*t.want), t.line, t.name(*t.want))
	case t.is:
		return t.on + " is too much"
	}
	return t.on + " is missing"
}

// allowed asks `sudo -l`, which knows every source of rules.
func (g *sudoersGate) allowed(ctx context.Context) error {
	_, stderr, code, err := g.ask(ctx, cmp.Or(g.host.sudo, "sudo"), append([]string{"-n", "-l", "-U", g.user, "-u", g.runas, "--"}, g.command...)...)
	switch {
	case err != nil:
		return err
	case code == 0:
		return nil
	case strings.Contains(stderr, "unknown user"):
		return errors.New(excerpt(stderr))
	case stderr != "": // no right to list what others may do, a mistake in sudoers
		return cannotTell{fmt.Errorf("%s (run reconcile as root)", excerpt(stderr))}
	}
	return fmt.Errorf("%s may not run %s as %s on this host: sudoers lacks a rule for it%s", g.user, strings.Join(g.command, " "), g.runas, g.withTags())
}

// withTags are those that the rule must have.
func (g *sudoersGate) withTags() string {
	var tags []string
	for _, t := range g.tags(sudoRule{})[:2] {
		if value(t.want) {
			tags = append(tags, t.on)
		}
	}
	if len(tags) == 0 {
		return ""
	}
	return ", with " + strings.Join(tags, " and ")
}

// rule reads sudoers as cvtsudoers shows it for this user on this host.
func (g *sudoersGate) rule(ctx context.Context) (sudoRule, error) {
	here, err := os.Hostname()
	if err != nil {
		return sudoRule{}, cannotTell{err}
	}
	short, _, _ := strings.Cut(here, ".")
	filter := fmt.Sprintf("user=%s,host=%s", g.user, short)
	stdout, stderr, code, err := g.ask(ctx, cmp.Or(g.host.cvtsudoers, "cvtsudoers"), "-e", "-f", "json", "-M", "-p", "-m", filter, g.host.file)
	if err != nil {
		return sudoRule{}, err
	}
	if code != 0 {
		return sudoRule{}, cannotTell{fmt.Errorf("cvtsudoers: %s", cmp.Or(excerpt(stderr), fmt.Sprintf("exit code %d", code)))}
	}
	r, err := readSudoers([]byte(stdout), g.user, g.runas, g.command)
	if err != nil {
		return sudoRule{}, cannotTell{err}
	}
	return r, nil
}

// ask runs one of sudo's programs in an environment of its own.
func (g *sudoersGate) ask(ctx context.Context, name string, args ...string) (stdout, stderr string, code int, err error) {
	path, err := find(name)
	if err != nil {
		return "", "", 0, cannotTell{fmt.Errorf("%s is not installed on this host", name)}
	}
	var out, errs capped
	c := &commandGate{argv: append([]string{path}, args...), env: []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}}
	code, err = c.run(ctx, &out, &errs)
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("%s did not answer within %s", name, commandTimeout.Round(time.Second))
	}
	if err != nil {
		return "", "", 0, cannotTell{err}
	}
	return out.String(), strings.TrimSpace(errs.String()), code, nil
}

// find also looks where the PATH of a service may not lead.
func find(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, filepath.Base(name)))
	}
	return path, err
}

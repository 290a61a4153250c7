package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/policies/sudo"
	"nomad-reconcile/reconcile/gates"
)

// Complaint is one thing that sudoers lacks, or has too much of, for a line.
type Complaint struct {
	Text    string
	Short   string // for a sentence about the user; empty where it is not fatal
	Sudoers string // the line of sudoers that would mend it; empty where there is none
	Fatal   bool   // sudo refuses to run the command
}

// Complaints are what is wrong between the line and sudoers, the fatal ones first.
func (s Sudo) Complaints() []Complaint {
	if s.Unknown != "" {
		return nil
	}
	command, who := s.Says.Command, s.User
	if !s.Says.Allowed {
		return []Complaint{{
			Text:    fmt.Sprintf("no rule of sudoers lets %s run %s as %s", who, command, s.RunAs),
			Short:   fmt.Sprintf("sudoers has no rule that lets %s run %s as %s", who, command, s.RunAs),
			Sudoers: fmt.Sprintf("%s ALL=(ALL) NOPASSWD: %s", who, command), Fatal: true,
		}}
	}
	var out []Complaint
	if s.Preserve && !s.Says.SetEnv {
		out = append(out, Complaint{
			Text:    "SETENV is missing: without it sudo refuses to preserve the environment",
			Short:   fmt.Sprintf("sudoers gives %s no SETENV for it", who),
			Sudoers: fmt.Sprintf("%s ALL=(ALL) NOPASSWD: SETENV: %s", who, command), Fatal: true,
		})
	}
	if !s.Says.NoPasswd {
		out = append(out, Complaint{
			Text:    "NOPASSWD is missing: nobody can type a password for a task",
			Short:   fmt.Sprintf("sudoers gives %s no NOPASSWD for it", who),
			Sudoers: fmt.Sprintf("%s ALL=(ALL) NOPASSWD: %s", who, command), Fatal: true,
		})
	}
	if !s.Preserve && strings.Contains(s.Says.Rule, " SETENV:") {
		out = append(out, Complaint{Text: "SETENV is too much: the task does not ask sudo to preserve the environment"})
	}
	if s.Env > 0 && s.Says.EnvReset && !(s.Preserve && s.Says.SetEnv) {
		out = append(out, Complaint{
			Text:    fmt.Sprintf("env_reset is in force: the env block of the task (%s) does not reach the command", plural(s.Env, "key")),
			Sudoers: fmt.Sprintf("Defaults!%s !env_reset", command),
		})
	}
	return out
}

// Fatal is the first complaint for which sudo refuses; empty where there is none.
func (s Sudo) Fatal() Complaint {
	for _, c := range s.Complaints() {
		if c.Fatal {
			return c
		}
	}
	return Complaint{}
}

// Has are the tags in force, in sudoers' words.
func (s Sudo) Has() string {
	word := func(on bool, yes, no string) string {
		if on {
			return yes
		}
		return no
	}
	return strings.Join([]string{
		word(s.Says.NoPasswd, "NOPASSWD", "PASSWD"), word(s.Says.SetEnv, "SETENV", "NOSETENV"), word(s.Says.EnvReset, "env_reset", "!env_reset"),
	}, ", ")
}

// sudoOf finds what a job runs through sudo and asks this host about it. A task
// whose allocations are on other nodes alone is not asked about here.
func (d *Doctor) sudoOf(ctx context.Context, j *api.Job, rollout policies.Rollout, nodes map[string]string) []Sudo {
	var out []Sudo
	for _, g := range j.TaskGroups {
		if g == nil {
			continue
		}
		for _, t := range g.Tasks {
			for _, c := range sudo.Calls(commandLine(t)) {
				s := Sudo{Task: t.Name, Line: c.Line, RunAs: cmp.Or(c.User, "root"), Preserve: c.Preserve, Env: len(t.Env)}
				s.User = d.userOf(t, rollout)
				s.Unknown = d.elsewhere(nodes)
				if s.Unknown == "" {
					s.ask(ctx, d.AskSudo, t, c)
				}
				out = append(out, s)
			}
		}
	}
	return out
}

// ask fills in what sudo says, or why that cannot be told.
func (s *Sudo) ask(ctx context.Context, ask func(context.Context, string, string, []string) (gates.SudoSays, error), t *api.Task, c sudo.Call) {
	switch {
	case t.Driver != "raw_exec" && t.Driver != "exec":
		s.Unknown = fmt.Sprintf("the task runs with the driver %s, which may have a sudoers of its own", t.Driver)
	case !c.Known:
		s.Unknown = "what the line says only shows at run time"
	case len(c.Command) == 0:
		s.Unknown = "it starts a shell of sudo's own"
	case s.User == "":
		s.Unknown = "whom the task runs as is not known: give it a `user`"
	default:
		says, err := ask(ctx, s.User, s.RunAs, c.Command)
		if err != nil {
			s.Unknown = err.Error() + remedy(err.Error())
		}
		s.Says = says
	}
}

// remedy is what to do so that sudo's programs can answer.
func remedy(fault string) string {
	switch {
	case strings.Contains(fault, "not installed"):
		return "; `apt-get install sudo`, or the like, brings it"
	case strings.Contains(fault, "ermission denied") || strings.Contains(fault, "password is required"):
		return "; run doctor as root"
	}
	return ""
}

// userOf is whom a task runs as: what it says, else what its driver or the rollout
// does. The agent's user is that of a raw_exec task.
func (d *Doctor) userOf(t *api.Task, rollout policies.Rollout) string {
	if t.User != "" {
		return t.User
	}
	if t.Driver == "exec" {
		return "nobody"
	}
	for _, g := range rollout.Gates {
		if spec, ok := g.Spec.(interface{ User() string }); ok && g.Kind == "sudoers" {
			return spec.User()
		}
	}
	return d.AgentUser
}

// elsewhere says that the allocations are on other nodes, if all are.
func (d *Doctor) elsewhere(nodes map[string]string) string {
	if len(nodes) == 0 {
		return ""
	}
	for _, host := range nodes {
		if host == d.Here {
			return ""
		}
	}
	names := strings.Join(slices.Sorted(maps.Keys(nodes)), ", ")
	return fmt.Sprintf("the allocation is on node %s, and this is %s; run doctor there", names, d.Here)
}

// commandLine is what a task runs, the command first.
func commandLine(t *api.Task) []string {
	if t == nil {
		return nil
	}
	command, _ := t.Config["command"].(string)
	words := []string{command}
	switch args := t.Config["args"].(type) {
	case []any:
		for _, a := range args {
			words = append(words, fmt.Sprint(a))
		}
	case []string:
		words = append(words, args...)
	}
	return words
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

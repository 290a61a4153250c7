package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/nomad"
)

// cause is one answer to why a job does not start.
type cause struct {
	health Health
	text   string
	next   []Step
}

// causes are asked in this order; the first that knows an answer gives the verdict.
var causes = []func(*Page) *cause{
	unreachable, unregistered, stopped, refusedBySudo, dyingOfSudo, dying, notPlaced, nodeLost, notDeployed, notPromoted,
	waiting, degraded, gateFails, held, breaksPolicy, launched, finished,
}

// Examine makes the page of what is known.
func Examine(f Facts) Page {
	p := Page{Facts: f, Placement: placement(f), Deployed: deployed(f), Scheduling: scheduling(f)}
	for _, ask := range causes {
		if c := ask(&p); c != nil {
			p.Health, p.Verdict, p.Next = c.health, c.text, c.next
			return p
		}
	}
	p.Verdict = "nothing is wrong: " + running(f)
	switch {
	case len(p.Unknown) > 0:
		p.Verdict = "nothing wrong is known, but not all could be looked at: " + running(f)
	case p.Deployment != nil && p.Deployment.Status == api.DeploymentStatusRunning:
		p.Verdict = "nothing is wrong so far, its deployment is under way: " + running(f)
	}
	return p
}

func running(f Facts) string {
	n := 0
	for _, a := range shown(f.Allocations) {
		if a.ClientStatus == api.AllocClientStatusRunning {
			n++
		}
	}
	if n == 0 {
		return "there is nothing to run"
	}
	return fmt.Sprintf("%s of version %d", plural(n, "allocation"), f.Live.State.Version) + map[bool]string{true: " runs", false: " run"}[n == 1]
}

func unreachable(p *Page) *cause {
	if p.Fault == nil {
		return nil
	}
	reason := p.Fault
	if e, ok := errors.AsType[*nomad.Error](p.Fault); ok {
		reason = e.Err
	}
	c := &cause{health: Blind, text: reason.Error()}
	if e, ok := errors.AsType[*nomad.Error](p.Fault); ok && e.Hint != "" {
		c.text += "; " + e.Hint
	}
	c.next = []Step{{"nomad server members", "is there a server, and a leader"}, {"systemctl status nomad", "on the server: does it run"}}
	return c
}

func unregistered(p *Page) *cause {
	if p.Live != nil {
		return nil
	}
	text := "Nomad does not know the job: it was never registered, or was purged"
	switch h := p.Plan.Hold; {
	case h != nil:
		return &cause{Ill, text + ", and its file is held: " + h.Reason, p.mend()}
	case p.Plan.Condition == reconcile.Denied:
		return &cause{Ill, text + ", and a policy that has no fix keeps its file from being registered", p.mend()}
	}
	return &cause{Ill, text, p.mend()}
}

func stopped(p *Page) *cause {
	if !p.Live.State.Stopped {
		return nil
	}
	if p.Plan != nil && (p.Plan.File != "" || p.Plan.Source != "") && !p.Bare {
		return &cause{Held, "an operator stopped it; reconcile does not start it by itself", []Step{p.reconcile("apply -start", "starts it, with the fixes of the policies")}}
	}
	return &cause{Held, "an operator stopped it", []Step{p.nomad("job start", p.ID.Name, "starts what was registered last")}}
}

// refusals are sudo's own words and what they mean.
var refusals = []struct{ says, means string }{
	{"not allowed to preserve the environment", "sudo refuses to preserve the environment"},
	{"not allowed to set the following environment", "sudo refuses to set variables of its environment"},
	{"a password is required", "sudo wants a password, and nobody can type one for a task"},
	{"a terminal is required", "sudo wants a password, and nobody can type one for a task"},
	{"no tty present", "sudo wants a password, and nobody can type one for a task"},
	{"is not in the sudoers file", "sudoers has no rule for the user"},
	{"may not run sudo", "sudoers has no rule for the user"},
	{"is not allowed to execute", "sudoers has no rule for the command"},
	{"command not found", "sudo does not find the command"},
	{"unknown user", "sudo does not know the user"},
	{"no valid sudoers sources", "sudo cannot read its sudoers"},
	{"syntax error", "sudoers has a mistake"},
}

// refusedBySudo: the last lines of a task are sudo's own refusal.
func refusedBySudo(p *Page) *cause {
	for _, t := range p.Tasks {
		for _, line := range slices.Backward(t.Stderr) {
			if !strings.Contains(line, "sudo") {
				continue
			}
			for _, r := range refusals {
				if strings.Contains(line, r.says) {
					return p.sudoCause(t.Name, r.means, strings.Contains(r.says, "preserve"))
				}
			}
		}
	}
	return nil
}

// dyingOfSudo: a task ends, what it said cannot be read, and this host's sudo would
// refuse its line.
func dyingOfSudo(p *Page) *cause {
	for _, s := range p.Sudo {
		c := s.Fatal()
		i := slices.IndexFunc(p.Tasks, func(t Task) bool { return t.Name == s.Task && t.end() != nil && len(t.Stderr) == 0 })
		if c.Fatal && i >= 0 {
			return p.sudoCause(s.Task, "sudo would refuse its line", s.Preserve)
		}
	}
	return nil
}

// sudoCause names the place in the file and what sudoers lacks.
func (p *Page) sudoCause(task, means string, preserve bool) *cause {
	c := &cause{health: Ill, text: fmt.Sprintf("task %s: %s", task, means)}
	fixed := false
	if at, f := p.place("sudo.preserve_env"); preserve && at != "" {
		c.text += fmt.Sprintf(", which %s asks of it", at)
		fixed = f.Fixable()
	}
	i := slices.IndexFunc(p.Sudo, func(s Sudo) bool { return s.Task == task && s.Fatal().Fatal })
	switch {
	case i >= 0:
		c.text += "; " + p.Sudo[i].Fatal().Short
		c.next = p.sudoSteps(p.Sudo[i], preserve && fixed) // first, or apply would fail of them
	case slices.ContainsFunc(p.Sudo, func(s Sudo) bool { return s.Task == task && s.Says.Allowed }):
		c.text += "; by now sudoers would let it"
	}
	c.next = append(c.next, p.mend()...)
	return c
}

// sudoSteps are the lines that sudoers lacks. Where the demand is taken out of the
// job, SETENV is not needed.
func (p *Page) sudoSteps(s Sudo, fixed bool) []Step {
	var out []Step
	for _, c := range s.Complaints() {
		if c.Sudoers == "" || fixed && strings.Contains(c.Sudoers, "SETENV") {
			continue
		}
		file := "/etc/sudoers.d/" + strings.Map(plainName, p.ID.Name)
		command := fmt.Sprintf("echo %s | sudo EDITOR='tee -a' visudo -f %s", quote(c.Sudoers), file)
		out = append(out, Step{command, "on the node: " + c.Text})
	}
	return out
}

// plainName: sudo passes over files of sudoers.d with a dot in their names.
func plainName(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
		return r
	}
	return '_'
}

// place is where a rule is broken: in the file if there, else in the live job.
func (p *Page) place(rule string) (string, reconcile.Finding) {
	if p.Plan == nil {
		return "", reconcile.Finding{}
	}
	var live *reconcile.Finding
	for i, f := range p.Plan.Findings {
		switch {
		case f.Rule != rule || f.Exception != nil:
		case f.Side == policies.FileSide && f.Range.Start.Line > 0:
			return fmt.Sprintf("%s:%d:%d", f.File, f.Range.Start.Line, f.Range.Start.Column), f
		case live == nil:
			live = &p.Plan.Findings[i]
		}
	}
	if live != nil {
		return live.Path.String() + " of the live job", *live
	}
	return "", reconcile.Finding{}
}

// end is the last end of the task's process that was not asked for.
func (t Task) end() *Event {
	for i, e := range slices.Backward(t.Events) {
		if e.Ended && (e.ExitCode != 0 || e.Signal != 0 || e.OOM) {
			return &t.Events[i]
		}
	}
	return nil
}

// broken is the last event that says why the task could not run at all.
func (t Task) broken() *Event {
	for i, e := range slices.Backward(t.Events) {
		switch e.Type {
		case api.TaskDriverFailure, api.TaskSetupFailure, api.TaskFailedValidation, api.TaskArtifactDownloadFailed:
			return &t.Events[i]
		case api.TaskStarted, api.TaskTerminated:
			return nil
		}
	}
	return nil
}

// dying: a task ends, or cannot be started.
func dying(p *Page) *cause {
	for _, t := range p.Tasks {
		if e := t.broken(); e != nil {
			return &cause{Ill, fmt.Sprintf("task %s cannot be started: %s", t.Name, cmp.Or(e.Message, e.Type)), append(p.mend(), p.nomad("alloc status", short(t.Alloc), "all that Nomad says of it"))}
		}
		if e := t.end(); e != nil {
			return &cause{Ill, fmt.Sprintf("task %s %s", t.Name, t.ending(*e)), append(p.mend(), p.nomad("alloc logs -stderr", short(t.Alloc)+" "+quote(t.Name), "all that it said"))}
		}
	}
	return nil
}

// ending is how a process ended, with its last words.
func (t Task) ending(e Event) string {
	var out string
	switch {
	case e.OOM && t.Memory > 0:
		out = fmt.Sprintf("was killed for want of memory: it may use %d MB", t.Memory)
	case e.OOM:
		out = "was killed for want of memory"
	case e.Signal != 0 && e.ExitCode <= 128:
		out = fmt.Sprintf("was ended by signal %d", e.Signal)
	case e.ExitCode == 126:
		out = "ended with exit code 126: what it calls cannot be executed"
	case e.ExitCode == 127:
		out = "ended with exit code 127: what it calls is not there"
	default:
		out = fmt.Sprintf("ends with exit code %d", e.ExitCode)
	}
	if t.Restarts > 0 {
		out += fmt.Sprintf(", after %s", plural(int(t.Restarts), "restart"))
	}
	for _, line := range slices.Backward(t.Stderr) {
		if line = strings.TrimSpace(line); line != "" {
			return out + "; it said: " + line
		}
	}
	return out
}

func notPlaced(p *Page) *cause {
	if len(p.Placement) == 0 {
		return nil
	}
	room := "the nodes, and how much runs on each: make room, or let the job ask for less"
	if p.Plan != nil && p.Plan.File != "" {
		room += " in " + p.Plan.File
	}
	next := append(p.mend(), Step{"nomad node status -allocs", room})
	if e := blockedEval(p.Evaluations); e != nil {
		next = append(next, p.nomad("eval status", short(e.ID), "the numbers of each node"))
	}
	return &cause{Ill, p.Placement[0], next}
}

// placement is said while an evaluation is blocked, or where the newest one found
// no place and nothing runs.
func placement(f Facts) []string {
	if f.Live == nil || f.Live.State.Stopped {
		return nil
	}
	if e := blockedEval(f.Evaluations); e != nil {
		return nomad.Unplaced(e.FailedTGAllocs, f.Live.Job)
	}
	return nil
}

func blockedEval(all []*api.Evaluation) *api.Evaluation {
	for i, e := range all {
		if e.Status == "blocked" || i == 0 && e.Status == "complete" && e.BlockedEval == "" {
			if len(e.FailedTGAllocs) > 0 {
				return e
			}
		}
	}
	return nil
}

func scheduling(f Facts) string {
	if len(f.Evaluations) == 0 {
		return ""
	}
	switch e := f.Evaluations[0]; e.Status {
	case "failed":
		return "the newest evaluation failed: " + strings.TrimSuffix(e.StatusDescription, ".")
	case "pending":
		if !e.WaitUntil.IsZero() && e.WaitUntil.After(f.Now) {
			return "Nomad tries again by itself (reschedule)"
		}
		return "the scheduler has not looked at it yet"
	}
	return ""
}

func nodeLost(p *Page) *cause {
	for _, a := range shown(p.Allocations) {
		if a.ClientStatus == api.AllocClientStatusLost || a.ClientStatus == api.AllocClientStatusUnknown {
			return &cause{Ill, fmt.Sprintf("node %s does not answer: allocation %s is %s", a.NodeName, short(a.ID), a.ClientStatus), []Step{
				{"nomad node status " + short(a.NodeID), "what Nomad knows of the node"}, {"ssh " + quote(a.NodeName) + " systemctl status nomad", "does its agent run"},
			}}
		}
	}
	return nil
}

func deployed(f Facts) string {
	d := f.Deployment
	if d == nil {
		return ""
	}
	healthy, desired := 0, 0
	for _, s := range d.TaskGroups {
		healthy += s.HealthyAllocs
		desired += s.DesiredTotal
	}
	return fmt.Sprintf("%s, %d of %d allocations healthy: %s", d.Status, healthy, desired, strings.TrimSuffix(d.StatusDescription, "."))
}

func notDeployed(p *Page) *cause {
	d := p.Deployment
	if d == nil || d.Status != api.DeploymentStatusFailed {
		return nil
	}
	for _, a := range shown(p.Allocations) {
		if s := a.DeploymentStatus; s != nil && s.Healthy != nil && !*s.Healthy && a.ClientStatus == api.AllocClientStatusRunning {
			return &cause{Ill, fmt.Sprintf("its tasks run, but allocation %s is not healthy: %s", short(a.ID), strings.TrimSuffix(d.StatusDescription, ".")), append(p.mend(),
				p.nomad("alloc checks", short(a.ID), "what its health checks say"), p.nomad("alloc logs -stderr", short(a.ID), "what it said"))}
		}
	}
	return &cause{Ill, "its deployment failed: " + strings.TrimSuffix(d.StatusDescription, "."), append(p.mend(), p.nomad("deployment status", short(d.ID), "its groups"))}
}

func notPromoted(p *Page) *cause {
	if d := p.Deployment; d != nil && d.StatusDescription == "Deployment is running but requires manual promotion" {
		return &cause{Held, "its canaries run and wait for promotion: the rest keeps the old version", []Step{
			p.nomad("deployment promote", short(d.ID), "go on with the new version"), p.nomad("deployment fail", short(d.ID), "or give it up"),
		}}
	}
	return nil
}

// waiting: a task has not started yet; its last event says for what it waits.
func waiting(p *Page) *cause {
	for _, t := range p.Tasks {
		if t.State == "pending" && len(t.Events) > 0 {
			e := t.Events[len(t.Events)-1]
			return &cause{Ill, fmt.Sprintf("task %s has not started: %s", t.Name, cmp.Or(e.Message, e.Type)), append(p.mend(), p.nomad("alloc status", short(t.Alloc), "all that Nomad says of it"))}
		}
	}
	return nil
}

func degraded(p *Page) *cause {
	why := p.Live.State.Why
	if why == "" {
		return nil
	}
	if p.Scheduling != "" {
		why += "; " + p.Scheduling
	}
	return &cause{Ill, why, append(p.mend(), p.nomad("job status", p.ID.Name, "all that Nomad says of it"))}
}

func gateFails(p *Page) *cause {
	for _, g := range p.Gates {
		if !g.Passed {
			return &cause{Ill, fmt.Sprintf("it runs by Nomad's account, but gate %s fails: %s", strings.TrimSpace(g.Kind+" "+g.Name), g.Detail), append(p.mend(),
				p.nomad("job status", p.ID.Name, "all that Nomad says of it"))}
		}
	}
	return nil
}

func held(p *Page) *cause {
	if p.Plan == nil || p.Plan.Hold == nil {
		return nil
	}
	return &cause{Held, "it runs, and nothing is done to it: " + p.Plan.Hold.Reason, p.mend()}
}

func breaksPolicy(p *Page) *cause {
	if p.Plan == nil {
		return nil
	}
	denied, n := 0, 0
	for _, f := range p.Plan.Findings {
		if f.Exception != nil || f.Enforce != policies.Deny {
			continue
		}
		n++
		if f.Denied() {
			denied++
		}
	}
	switch {
	case denied > 0:
		return &cause{Denied, fmt.Sprintf("it runs, and breaks its policies: %s that %s no fix", plural(denied, "finding"), map[bool]string{true: "has", false: "have"}[denied == 1]), p.mend()}
	case n > 0:
		return &cause{Fine, fmt.Sprintf("it runs, and breaks its policies: %s to fix", plural(n, "finding")), p.mend()}
	}
	return nil
}

func launched(p *Page) *cause {
	j := p.Live.Job
	if j.Periodic == nil && j.ParameterizedJob == nil || p.Child != "" {
		return nil
	}
	return &cause{Fine, "nothing is wrong: it has not been launched yet", nil}
}

func finished(p *Page) *cause {
	for _, a := range shown(p.Allocations) {
		if a.ClientStatus != api.AllocClientStatusComplete {
			return nil
		}
	}
	if len(p.Allocations) == 0 || p.Live.State.Status != "dead" && p.Child == "" {
		return nil
	}
	return &cause{Fine, "nothing is wrong: it has run to its end", nil}
}

func short(id string) string { return id[:min(8, len(id))] }

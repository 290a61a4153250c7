package report

import (
	"io"
	"strings"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/doctor"
)

type doctorDoc struct {
	FormatVersion string     `json:"format_version"`
	Namespace     string     `json:"namespace"`
	ID            string     `json:"id"`
	File          string     `json:"file"` // empty where no file declares it
	Health        string     `json:"health"`
	Verdict       string     `json:"verdict"`
	Findings      []finding  `json:"findings"`
	Hold          *hold      `json:"hold"`
	Live          *liveDoc   `json:"live"` // null where Nomad does not know it, or cannot be asked
	Tasks         []taskDoc  `json:"tasks"`
	Sudo          []sudoDoc  `json:"sudo"`
	Placement     []string   `json:"placement"`
	Deployment    *deployDoc `json:"deployment"`
	Gates         []gateDoc  `json:"gates"`
	Notes         []string   `json:"notes"` // of the plan: what keeps the agent from it, ...
	Unknown       []string   `json:"unknown"`
	Next          []nextStep `json:"next"`
}

type liveDoc struct {
	Version     uint64         `json:"version"`
	Status      string         `json:"status"`
	Stopped     bool           `json:"stopped"`
	Allocations map[string]int `json:"allocations"` // by status
	Why         string         `json:"why"`         // why it is not healthy
	Launched    string         `json:"launched"`    // of a periodic or parameterized job
	Scheduler   string         `json:"scheduler"`
}

type taskDoc struct {
	Allocation string     `json:"allocation"`
	Node       string     `json:"node"`
	Task       string     `json:"task"`
	State      string     `json:"state"`
	Failed     bool       `json:"failed"`
	Restarts   uint64     `json:"restarts"`
	Events     []eventDoc `json:"events"`
	Stderr     []string   `json:"stderr"`
	NoStderr   string     `json:"stderr_unknown"`
}

type eventDoc struct {
	Time     time.Time `json:"time"`
	Type     string    `json:"type"`
	Message  string    `json:"message"`
	ExitCode *int      `json:"exit_code"`
}

type sudoDoc struct {
	Task       string         `json:"task"`
	Line       string         `json:"line"`
	User       string         `json:"user"`
	RunAs      string         `json:"runas"`
	Unknown    string         `json:"unknown"`
	Allowed    bool           `json:"allowed"`
	NoPasswd   bool           `json:"nopasswd"`
	SetEnv     bool           `json:"setenv"`
	EnvReset   bool           `json:"env_reset"`
	Rule       string         `json:"rule"`
	Complaints []complaintDoc `json:"complaints"`
}

type complaintDoc struct {
	Text    string `json:"text"`
	Sudoers string `json:"sudoers"`
	Fatal   bool   `json:"fatal"`
}

type deployDoc struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Text   string `json:"text"`
}

type nextStep struct {
	Command string `json:"command"`
	Why     string `json:"why"`
}

// DoctorJSON writes the page as one JSON object. Lists are never null.
func DoctorJSON(w io.Writer, d doctor.Page) error {
	doc := doctorDoc{
		FormatVersion: FormatVersion, Namespace: namespace(d.ID), ID: d.ID.Name, Health: d.Health.Words(), Verdict: redactProse(d.Verdict, d.ID.String(), d.ID.Name),
		Findings: []finding{}, Tasks: []taskDoc{}, Sudo: []sudoDoc{}, Gates: []gateDoc{}, Notes: []string{}, Next: []nextStep{},
		Placement: redactAll(d.Placement), Unknown: redactAll(d.Unknown),
	}
	if d.Plan != nil {
		doc.File, doc.Findings, doc.Hold = d.Plan.File, findings(d.Plan.Findings), holdOf(d.Plan.Hold)
		doc.Notes = redactAll(d.Plan.Notes)
	}
	if d.Live != nil {
		doc.Live = liveOf(d.Live.State, d.Child, d.Scheduling)
	}
	if d.Deployment != nil {
		doc.Deployment = &deployDoc{d.Deployment.ID, d.Deployment.Status, redactProse(d.Deployed)}
	}
	for _, t := range d.Tasks {
		doc.Tasks = append(doc.Tasks, taskOf(t))
	}
	for _, s := range d.Sudo {
		doc.Sudo = append(doc.Sudo, sudoOf(s))
	}
	for _, g := range d.Gates {
		result := "ok"
		if !g.Passed {
			result = "failed"
		}
		doc.Gates = append(doc.Gates, gateDoc{g.Kind, g.Name, result, redactProse(g.Detail)})
	}
	for _, s := range d.Next {
		doc.Next = append(doc.Next, nextStep{redactSudoers(s.Command), redactProse(s.Why)})
	}
	return encode(w, doc)
}

func liveOf(l reconcile.LiveState, child, scheduling string) *liveDoc {
	out := &liveDoc{Version: l.Version, Status: l.Status, Stopped: l.Stopped, Allocations: l.Allocations, Why: redactProse(l.Why), Launched: child, Scheduler: redactProse(scheduling)}
	if out.Allocations == nil {
		out.Allocations = map[string]int{}
	}
	return out
}

func taskOf(t doctor.Task) taskDoc {
	out := taskDoc{
		Allocation: t.Alloc, Node: t.Node, Task: t.Name, State: t.State, Failed: t.Failed, Restarts: t.Restarts,
		Events: []eventDoc{}, Stderr: []string{}, NoStderr: redactProse(t.NoStderr),
	}
	for _, e := range t.Events {
		event := eventDoc{Time: e.Time.UTC(), Type: e.Type, Message: redactProse(e.Message)}
		if e.Ended {
			event.ExitCode = new(e.ExitCode)
		}
		out.Events = append(out.Events, event)
	}
	if len(t.Stderr) > 0 {
		out.Stderr = strings.Split(redactText(strings.Join(t.Stderr, "\n")), "\n")
	}
	return out
}

func sudoOf(s doctor.Sudo) sudoDoc {
	out := sudoDoc{
		Task: s.Task, Line: redactLine(s.Line), User: s.User, RunAs: s.RunAs, Unknown: redactProse(s.Unknown), Allowed: s.Says.Allowed,
		NoPasswd: s.Says.NoPasswd, SetEnv: s.Says.SetEnv, EnvReset: s.Says.EnvReset, Rule: redactSudoers(s.Says.Rule), Complaints: []complaintDoc{},
	}
	for _, c := range s.Complaints() {
		out.Complaints = append(out.Complaints, complaintDoc{redactProse(c.Text), redactSudoers(c.Sudoers), c.Fatal})
	}
	return out
}

package reconcile

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/source"
)

// Condition is what a job is, in one word; every job always has exactly one.
type Condition string

// The conditions.
const (
	InSync     Condition = "in_sync"     // file, policies and Nomad agree
	Degraded   Condition = "degraded"    // in sync, but its allocations are not healthy
	OutOfSync  Condition = "out_of_sync" // something differs; Actions say what would be done
	Converging Condition = "converging"  // a run is open, or a deployment waits for a person
	Held       Condition = "held"        // nothing is done, for the Hold's reason
	Denied     Condition = "denied"      // a finding that forbids and cannot be fixed
	Failed     Condition = "failed"      // a run ended badly and needs a person
	Orphan     Condition = "orphan"      // registered by us, its file is gone
)

// Action is one thing that a run would do.
type Action string

// The actions, in the order in which a run does them.
const (
	EditFile Action = "edit"
	Register Action = "register"
	Stop     Action = "stop"
)

// Hold says why nothing is done to a job and what to type or do next.
type Hold struct {
	Reason string
	Next   string
	Passes bool // it may end by itself, with nothing of the job having moved
}

// Unread reports whether the job waits for files that could not be read.
func (h *Hold) Unread() bool { return h != nil && h.Reason == fileUnknownReason }

// Finding is a policy finding with its place in the file.
type Finding struct {
	policies.Finding
	File   string    // as users see it; empty on the live side of a job without a file
	Range  hcl.Range // of what the edit would change; zero on the live side
	Source string    // the source line, without its line end
}

// Change is one line of the live diff.
type Change struct {
	job.Difference
	Finding bool // it is part of a fix; otherwise drift
	Stays   bool // nothing will be done about it
}

// LiveState is the registered job in a few facts.
type LiveState struct {
	Version     uint64
	Status      string // Nomad's: pending, running, dead
	Stopped     bool   // by an operator
	Healthy     bool
	Why         string    // why it is not healthy; empty if it is
	Waits       string    // what a person has to do before its deployment goes on
	Until       time.Time // when Why may be over with nothing having moved; zero: never
	Allocations map[string]int
	Failure     *nomad.Failure
}

// Plan is what would be done to one job and why: pure data.
type Plan struct {
	ID        job.ID
	File      string // as users see it; empty where no file declares the job
	Source    string // in its place, of a job that a NomadSource names: nomad:NAMESPACE/JOB
	Condition Condition
	Reason    string
	Hold      *Hold
	Findings  []Finding
	FileDiff  string // unified; empty where the file stays
	LiveDiff  []Change
	Updates   []string   // what Nomad's scheduler would do to allocations at once, by group; empty where nothing is registered over a live job
	Live      *LiveState // nil where Nomad does not know the job
	Actions   []Action
	Left      []string // what stays undone and what to type for it
	Rollout   policies.Rollout
	Notes     []string             // what a reader should know: a failed revision that a person overrides, a check that was skipped
	Warnings  hcl.Diagnostics      // of the job file
	Variables []Variable           // where the job file's variables got their values
	Sources   map[string]*hcl.File // for printing Warnings; nil without
	Basis     history.Basis        // what it was made from

	change *change // nil: nothing is to be done, or the plan is to be shown alone
}

// Variable is one variable of a job file, with the origin of its value.
type Variable struct {
	Name   string
	Origin string
	Value  cty.Value
}

// change is what a run needs to carry a plan out.
type change struct {
	root       string          // of the source, for writes
	doc        source.Document // the file as planned
	after      []byte          // the file as it will be; nil where it stays
	fileJob    *api.Job        // what the file will evaluate to
	fileSource *api.JobSubmission
	localParse bool // the server cannot parse it: filesystem functions, JSON
	register   *api.Job
	submission *api.JobSubmission
	live       *Live     // as planned; nil where Nomad does not know it
	at         time.Time // when it was read; zero: too long ago to rely on
	admitted   bool      // a dry-run has accepted what is to be registered
	of         string    // the run that is rolled back
}

// After is the file's text as it will be; nil where it stays, and of a plan that
// is to be shown alone.
func (p Plan) After() []byte {
	if p.change == nil {
		return nil
	}
	return p.change.after
}

// Does reports whether carrying the plan out changes anything.
func (p Plan) Does() bool { return len(p.Actions) > 0 }

// Will reports whether a is among the plan's actions.
func (p Plan) Will(a Action) bool {
	for _, action := range p.Actions {
		if action == a {
			return true
		}
	}
	return false
}

// Shown is the plan without what it takes to carry it out, for being kept.
func (p Plan) Shown() Plan {
	p.change = nil
	return p
}

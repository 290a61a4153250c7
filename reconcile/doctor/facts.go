// Package doctor answers for one job why it does not start. Look reads all that is
// known, Examine makes a page of it and decides nothing else than what to say.
package doctor

import (
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/job"
)

// Facts are all that is known of one job.
type Facts struct {
	ID          job.ID
	Now         time.Time
	Fault       error           // why Nomad could not be asked; then there is no live side
	Plan        *reconcile.Plan // what policies say, and what apply would do
	Live        *reconcile.Live // nil where Nomad does not know the job
	Child       string          // of a periodic or parameterized job: the newest launch, whose Allocations and Evaluations these are
	Allocations []*api.AllocationListStub
	Evaluations []*api.Evaluation // the newest first
	Deployment  *api.Deployment   // of the registered revision
	Tasks       []Task            // those that are not well, the newest allocation first
	Sudo        []Sudo            // what the job runs through sudo
	Gates       []gates.Result    // of the rollout, asked where the job runs
	Unknown     []string          // what could not be looked at, and why
	Bare        bool              // there is no configuration: policies and files were named
	Flags       string            // what a command that is to be typed next must repeat: "-config x.hcl"
}

// Task is a task that is not well.
type Task struct {
	Alloc, Node, Name string
	State             string // Nomad's: pending, running, dead
	Failed            bool
	Restarts          uint64
	Events            []Event // the last ones, the oldest first
	Stderr            []string
	NoStderr          string // why it cannot be read; empty where it can, or there is none
	Memory            int    // MB that it may use; 0: not known
}

// Event is one of Nomad's events of a task.
type Event struct {
	Time     time.Time
	Type     string
	Message  string
	ExitCode int  // where Ended
	Signal   int  // that ended it
	Ended    bool // the event is the end of a process
	OOM      bool // for want of memory
}

// Sudo is one use of sudo by the job, and what the sudo of this host says of it.
type Sudo struct {
	Task     string
	Line     string // as the task writes it
	User     string // who calls sudo
	RunAs    string
	Preserve bool
	Env      int // keys of the task's env block
	Says     gates.SudoSays
	Unknown  string // why this cannot be told; then Says is empty
}

// Health is what the job is, for the exit code.
type Health int

// From well to not known.
const (
	Fine   Health = iota // it runs, or has nothing to run
	Denied               // it runs, and breaks a policy that has no fix
	Held                 // it is kept from running, or from being changed, on purpose
	Ill                  // it does not run as it should
	Blind                // Nomad could not be asked
)

// Words are for machines: fine, denied, held, ill, unknown.
func (h Health) Words() string { return [...]string{"fine", "denied", "held", "ill", "unknown"}[h] }

// Step is something to type next.
type Step struct {
	Command string
	Why     string
}

// Page is the answer.
type Page struct {
	Facts
	Health     Health
	Verdict    string   // the most likely cause, in one sentence
	Placement  []string // what Nomad finds no place for
	Deployed   string   // the state of the deployment in words
	Scheduling string   // the state of the newest evaluation, where it says more
	Next       []Step
}

// Package history remembers runs: what was intended, what was done, and all that
// is needed to undo or finish a run after a crash. It lives under the folder
// `state.dir` and never decides anything.
//
//	DIR/suspended.json           the jobs that the agent leaves alone
//	DIR/jobs/JOB/lock            held by whoever runs something on that job
//	DIR/jobs/JOB/RUN/run.json    what the run set out to do
//	DIR/jobs/JOB/RUN/prior.json  file and job as they were
//	DIR/jobs/JOB/RUN/next.json   file and job as they are to be
//	DIR/jobs/JOB/RUN/NAME.backup.YYYYMMDD_HHMMSS  the file's old bytes, for people
//	DIR/jobs/JOB/RUN/journal     one JSON line per event, each synced
//
// A run's folder appears whole, by a rename, or not at all; after that only the
// journal grows. Specs may hold secrets: everything is readable by the owner alone,
// but for the backup, which has the mode of its file inside a folder that has not.
package history

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"time"

	"nomad-reconcile/state/job"

	"github.com/hashicorp/nomad/api"
)

// Basis is what a plan was made from: hashes of the file's bytes, of the values
// of its variables and of the policies, and the live job's index (0: not there).
type Basis struct {
	File           string `json:"file"`
	Vars           string `json:"vars"`
	Policies       string `json:"policies"`
	JobModifyIndex uint64 `json:"job_modify_index"`
}

// SameRevision reports whether both speak of the same file, variables and
// policies; the live job may have moved, as it does in every rollback.
func (b Basis) SameRevision(other Basis) bool {
	b.JobModifyIndex = other.JobModifyIndex
	return b == other
}

// Revision is one hash for the same; empty where nothing is known.
func (b Basis) Revision() string {
	if b.File+b.Vars+b.Policies == "" {
		return ""
	}
	return Hash([]byte(strings.Join([]string{b.File, b.Vars, b.Policies}, "\n")))
}

// Prior is a job and its file as they were before a run.
type Prior struct {
	File           string             // the path as users see it; empty without a file
	Path           string             // absolute
	Root           string             // the source's folder, which writes must not leave; absolute
	Bytes          []byte             // of the file
	Mode           fs.FileMode        // of the file
	Job            *api.Job           // the live spec; nil if the job was not there
	Submission     *api.JobSubmission // of the live spec; nil if Nomad kept none
	Healthy        bool               // worth going back to
	Stopped        bool               // by an operator
	Version        uint64
	JobModifyIndex uint64
}

// Next is what a run makes of a job and its file.
type Next struct {
	Bytes      []byte             // of the file; nil when it is not touched
	Job        *api.Job           // the spec to register; nil when nothing is registered
	Submission *api.JobSubmission // to be registered with it
	Changes    []Change           `json:",omitempty"` // what that changes in the live job, as it was planned
}

// Change is one place of a live job that a run changes, for people: its path, what it
// was and what it becomes (JSON values, null where not set), without secrets.
type Change struct {
	Path    string          `json:"path"`
	Before  json.RawMessage `json:"before"`
	After   json.RawMessage `json:"after"`
	Finding bool            `json:"finding"` // a policy asks for it
}

// Result is how a run ended.
type Result string

// The results. Unchanged and Denied runs touched nothing. Nor did a Held one, but
// for one in the history, which waits for a person in the middle.
const (
	Converged  Result = "converged"
	Unchanged  Result = "unchanged"
	Held       Result = "held"
	Denied     Result = "denied"
	RolledBack Result = "rolled_back"
	Failed     Result = "failed"
)

// Touched reports whether a run of that result did anything that is over.
func (r Result) Touched() bool { return r == Converged || r == RolledBack || r == Failed }

// Outcome is how one step or gate ended.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	NotOK   Outcome = "failed"
	Skipped Outcome = "skipped"

	Cancelled Outcome = "cancelled" // a gate that was not waited for any more
)

// Step is one step of a run that was done, or failed.
type Step struct {
	Name     string        `json:"name"`
	Result   Outcome       `json:"result"`
	Detail   string        `json:"detail,omitempty"` // for people
	Index    uint64        `json:"index,omitempty"`  // JobModifyIndex that the step's write to Nomad returned; 0 for none
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration"` // nanoseconds in JSON
}

// Intent is a step that was announced before it was done: without a Step of the
// same name after it, it may or may not have happened.
type Intent struct {
	Step  string    `json:"step"`
	Index uint64    `json:"index,omitempty"` // JobModifyIndex that the write will be checked against; 0 for none
	At    time.Time `json:"at"`
	Done  bool      `json:"-"` // a Step of that name followed
}

// GateResult is what one gate said.
type GateResult struct {
	Kind     string        `json:"kind"`
	Name     string        `json:"name"`
	Result   Outcome       `json:"result"`
	Detail   string        `json:"detail,omitempty"`
	Duration time.Duration `json:"duration"` // nanoseconds in JSON
}

// Run is one application of one job's plan.
type Run struct {
	ID            string    `json:"id"`
	Job           job.ID    `json:"job"`
	Kind          string    `json:"kind"`         // apply, agent or rollback
	By            string    `json:"by,omitempty"` // who typed it, as far as that is known
	Of            string    `json:"of,omitempty"` // the run that a rollback undoes
	Started       time.Time `json:"started"`
	Basis         Basis     `json:"basis"`
	File          string    `json:"file,omitempty"`     // the path as users see it
	Source        string    `json:"source,omitempty"`   // in place of File, of a job without one: nomad:NAMESPACE/JOB
	NewFile       string    `json:"new_file,omitempty"` // hash of the bytes to be written; empty when the file is not touched
	Actions       []string  `json:"actions,omitempty"`
	Strategy      string    `json:"strategy,omitempty"`
	OnFailure     string    `json:"on_failure,omitempty"`
	VersionBefore uint64    `json:"version_before"`
	BackupName    string    `json:"backup,omitempty"` // Backup's last element

	// The rest is read from the journal.
	Backup       string       `json:"-"` // path of the copy of the old file, below the store's folder; empty when the file is not touched
	Ended        time.Time    `json:"-"`
	VersionAfter uint64       `json:"-"`
	Result       Result       `json:"-"`
	Reason       string       `json:"-"`
	Steps        []Step       `json:"-"`
	Intents      []Intent     `json:"-"`
	Gates        []GateResult `json:"-"`
	Open         bool         `json:"-"` // not closed: running, or killed
}

// Intent is the last announcement of that step, and whether there is one.
func (r Run) Intent(step string) (Intent, bool) {
	for i := len(r.Intents) - 1; i >= 0; i-- {
		if r.Intents[i].Step == step {
			return r.Intents[i], true
		}
	}
	return Intent{}, false
}

// Step is the last record of that step, and whether there is one.
func (r Run) Step(name string) (Step, bool) {
	for i := len(r.Steps) - 1; i >= 0; i-- {
		if r.Steps[i].Name == name {
			return r.Steps[i], true
		}
	}
	return Step{}, false
}

// FailedGate reports whether a gate did not accept what the run made.
func (r Run) FailedGate() bool {
	return slices.ContainsFunc(r.Gates, func(g GateResult) bool { return g.Result == NotOK })
}

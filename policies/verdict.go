package policies

import (
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// Enforce says how much a policy insists.
type Enforce string

// Deny refuses a job that breaks the policy; Warn only tells.
const (
	Deny Enforce = "deny"
	Warn Enforce = "warn"
)

// Side is the document that was checked.
type Side string

// The two documents of a job: the one in its file, and what Nomad has registered.
const (
	FileSide Side = "file"
	LiveSide Side = "live"
)

// Finding is one invariant that does not hold, at one path.
type Finding struct {
	Policy  string // the policy's name
	Rule    string // such as sudo.preserve_env
	Enforce Enforce
	Side    Side
	Path    job.Path   // the place, also of a key that is missing; of a missing env block the task
	Message string     // one line, without secrets
	Fix     bool       // the policy asks for a fix
	Edits   []job.Edit // what would mend it; none where nobody can know
	Useless bool       // there was a fix, but with those of all others made it does not mend it

	Exception *Exception // what waives it; nil where nothing does
}

// Fixable reports whether a fix is known and wanted.
func (f Finding) Fixable() bool { return f.Fix && len(f.Edits) > 0 }

// Denied reports whether the finding refuses the job: it is denied, and neither a
// fix nor an exception takes it away.
func (f Finding) Denied() bool { return f.Enforce == Deny && f.Exception == nil && !f.Fixable() }

// Exception is a named, reasoned, dated waiver of a rule.
type Exception struct {
	Policy  string
	Rules   []string // globs over rule IDs; none for all
	Reason  string
	Expires time.Time // the day on which it ends; it still counts on that day, in UTC
	Range   hcl.Range // of the block's header
}

// Ended reports whether the exception counts no more.
func (e Exception) Ended(now time.Time) bool { return !now.Before(e.Expires.AddDate(0, 0, 1)) }

// Verdict is what the policies say about one job.
type Verdict struct {
	Findings []Finding
	Edits    []job.Edit // of all fixable findings together, each once; for job.Apply
	Conflict string     // why the policies contradict each other, a hold; else empty
	Rollout  Rollout
	Selected []string // the policies whose match selects the job
}

// Strategy is the way from the old job to the new one.
type Strategy string

// Update registers the job and lets Nomad roll it; Restart stops it first and
// waits until its allocations have ended.
const (
	Update  Strategy = "update"
	Restart Strategy = "restart"
)

// OnFailure says what a failed gate leads to.
type OnFailure string

// Rollback puts file and job back; Keep leaves them as the run made them.
const (
	Rollback OnFailure = "rollback"
	Keep     OnFailure = "keep"
)

// Rollout is how one job is converged. The one that Check gives back for a job
// that no rollout block matches is named "" and holds the defaults.
type Rollout struct {
	Name      string
	Strategy  Strategy
	Deadline  time.Duration // 0: what the job's update block allows, and a minute
	OnFailure OnFailure
	Gates     []Gate // beside the deployment gate, which is always on

	// Ignore are places where the live job keeps the value that it has, whatever the
	// file says: attributes and keys. A label of a group or a task may be AllLabels.
	Ignore []job.Path
}

// Gate is one check before or after the change.
type Gate struct {
	Kind, Name string
	Before     bool // it runs before anything is touched
	Spec       any  // what the kind's decoder made of the block
	Range      hcl.Range
}

// Kind decodes the body of a gate block, which no longer holds `when`; name is the
// block's second label. Every mistake in it is a diagnostic.
type Kind func(name string, body hcl.Body) (spec any, diags hcl.Diagnostics)

// JobChecker is what a gate's spec may implement to be held against the job
// before a run: a task or group that the job lacks is an error there. The
// diagnostics need a Subject only where it is better than the gate's own range.
type JobChecker interface {
	CheckJob(*api.Job) hcl.Diagnostics
}

// Source is one *.policy.hcl file. One that is shared with parameters is given
// values, and terms that win over its own.
type Source struct {
	Name       string
	Bytes      []byte
	Vars       map[string]Given
	Enforce    Enforce    // of everything in it; empty for what it says itself
	Fix        *bool      // the same; nil for what it says itself
	Exceptions hcl.Blocks // for its policies, that stand elsewhere
}

// Given is a value for a variable of policy files and where it is given.
type Given struct {
	Value cty.Value
	Range hcl.Range // of the value
	Name  hcl.Range // of the name
}

// Info is one policy of a set, for lists and explanations.
type Info struct {
	Name, Description, Why string
	Enforce                Enforce
	Fix                    bool
	Range                  hcl.Range
	Rules                  []RuleInfo
}

// RuleInfo is what a policy demands under one rule ID.
type RuleInfo struct {
	ID          string // sudo.preserve_env, rule.NAME
	Description string
	Scope       string // job, group or task
	Assert      string // the source of a rule's assert; empty of other blocks
	ForEach     string // as Assert; empty where a rule has none
	When        string
	Message     string
	Enforce     Enforce
	Fix         bool // a finding can be mended, and the policy asks for it
	Range       hcl.Range
}

// VariableInfo is a variable that a policy file declares.
type VariableInfo struct {
	Name, Description, Type string
	Value                   cty.Value // as given, else the default
	Range                   hcl.Range
}

package reconcile

import (
	"context"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/source"
)

// Nomad is what a pass needs of the live side; *nomad.Client is one.
type Nomad interface {
	Jobs(ctx context.Context, namespaces []string) ([]*api.JobListStub, error)
	Job(ctx context.Context, id job.ID) (*api.Job, error)
	Submission(ctx context.Context, id job.ID, version uint64) (*api.JobSubmission, error)
	Plan(ctx context.Context, j *api.Job) (*api.JobPlanResponse, error)
	Parse(ctx context.Context, namespace string, sub *api.JobSubmission) (*api.Job, error)
	Register(ctx context.Context, j *api.Job, sub *api.JobSubmission, index uint64) (nomad.Registration, error)
	Stop(ctx context.Context, live *api.Job, index uint64) (nomad.Registration, error)
	Allocations(ctx context.Context, id job.ID, index uint64) ([]*api.AllocationListStub, uint64, error)
	Deployments(ctx context.Context, id job.ID, index uint64) ([]*api.Deployment, uint64, error)
	Evaluation(ctx context.Context, id string, index uint64) (*api.Evaluation, uint64, error)
	LastFailure(ctx context.Context, allocs []*api.AllocationListStub) (*nomad.Failure, error)
}

// Observation is all that is known of one job before anything is decided: what
// was read (observe), what policies make of it (desire) and what Nomad says a
// register would change (preview).
type Observation struct {
	ID        job.ID
	File      *File         // nil where no job file declares the job
	Live      *Live         // nil where Nomad does not know the job
	By        *NomadSource  // names the job, which no job file declares; else nil
	Held      *Hold         // found while reading: unreadable, two files, a variable without value ...
	Open      *history.Run  // a run of this job that has not ended
	Failed    *history.Run  // the run in which this very revision failed its gates
	Broken    *history.Run  // the run that left file and job as they are, and failed
	Paused    *history.Run  // the first run under this revision of the policies, which failed its gates
	Past      []history.Run // of this job, the newest first
	Suspended *history.Suspension
	Basis     history.Basis
	Ours      bool // our history has registered this job from a file
	Complete  bool // every file of every source could be read
	unnamed   bool // the file does not say which job it means
	Grace     bool // the file has been gone for the grace period
}

// File is the file side of an observation.
type File struct {
	Root     string // the source folder that writes must stay in
	Doc      source.Document
	Spec     *jobspec.File
	Verdict  policies.Verdict
	Written  *api.Job   // the file job + the edits of its findings
	Desired  *api.Job   // Written, with what is the live job's own to say: scaled counts, and what a rollout ignores
	Ignored  []job.Path // ... of the latter what differs
	After    []byte     // the file's bytes with those edits; Doc.Bytes where there are none
	Findings []Finding

	Diagnostics hcl.Diagnostics // what is wrong or odd with the file
}

// Edited reports whether policies change the file.
func (f *File) Edited() bool { return string(f.After) != string(f.Doc.Bytes) }

// Live is the live side of an observation.
type Live struct {
	Job         *api.Job
	Submission  *api.JobSubmission // once it was asked for; nil where Nomad keeps none
	Allocations []*api.AllocationListStub
	State       LiveState
	Verdict     policies.Verdict
	Findings    []Finding

	// What a register would change, by Nomad's dry-runs.
	Diff         []Change           // of the desired job against the live one
	Differs      bool               // the dry-run of the desired job shows a difference
	Updates      []string           // what the scheduler would do for the desired job, in words by group
	OnlyFixes    bool               // ... and the same as that of Fixed: nothing else differs
	Fixed        *api.Job           // the live spec + the edits of its own findings; nil without findings
	FixedUpdates []string           // as Updates, for Fixed
	Submitted    *api.JobSubmission // Fixed's submission: the live one's source, edited alike
	Redundant    bool               // Fixed shows no difference: nothing to register

	asked    bool       // Submission was read
	rough    bool       // State is a list's word, or the version's, not that of the allocations
	unasked  bool       // ... which may have to be asked for yet
	admitted []*api.Job // specs that Nomad's dry-runs have accepted
}

func (l *Live) job() *api.Job {
	if l == nil {
		return nil
	}
	return l.Job
}

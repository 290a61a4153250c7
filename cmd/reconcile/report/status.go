package report

import (
	"encoding/json"
	"io"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
)

// Status is the document of `status -json` and of the agent's /v1/status. What is
// shown to people is made of it too, be it from here or from an agent.
type Status struct {
	FormatVersion string      `json:"format_version"`
	Agent         *agentDoc   `json:"agent"` // nil: none is running
	Jobs          []StatusJob `json:"jobs"`
	Summary       byCondition `json:"summary"`
}

type agentDoc struct {
	Started    time.Time  `json:"started"`
	Ready      bool       `json:"ready"`  // the first pass is done
	Passed     *time.Time `json:"passed"` // when all that had moved was last worked through
	Config     string     `json:"config"` // hash of what is in force
	Loaded     *time.Time `json:"loaded"`
	LoadError  string     `json:"load_error"`
	NomadError string     `json:"nomad_error"`
	FileErrors []string   `json:"file_errors"`
	Polling    []string   `json:"polling"`
	CalmUntil  *time.Time `json:"calm_until"`
	Waiting    int        `json:"waiting"`
	Known      int        `json:"known"`
	Left       int        `json:"left"`
}

// Blind reports whether something keeps the agent from knowing how the jobs are, or
// from what it should hold them to.
func (a *agentDoc) Blind() bool {
	return a != nil && (a.LoadError != "" || a.NomadError != "" || len(a.FileErrors) > 0)
}

// Knows: what it does not speak of is not there. Until its first pass is done, an
// agent has just not come to it.
func (a *agentDoc) Knows() bool { return a == nil || a.Ready }

// StatusJob is one job of a Status.
type StatusJob struct {
	Namespace string              `json:"namespace"`
	ID        string              `json:"id"`
	File      string              `json:"file"`
	Source    string              `json:"source,omitempty"` // of a job without a file
	Condition reconcile.Condition `json:"condition"`
	Reason    string              `json:"reason"`
	Next      []string            `json:"next"`
	Since     *time.Time          `json:"since"`    // null: not known
	Looked    *time.Time          `json:"looked"`   // when it was last worked out
	Revision  string              `json:"revision"` // hash of file, variables and policies
	Policies  string              `json:"policies"` // their revision alone
	Version   *uint64             `json:"version"`  // of the live job; null where there is none
	Findings  int                 `json:"findings"`
	Running   bool                `json:"running"`
	Queued    bool                `json:"queued"`
	LastRun   *lastRun            `json:"last_run"`
}

type lastRun struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind"`
	Result  string     `json:"result"` // empty while it is open
	Reason  string     `json:"reason"`
	Open    bool       `json:"open"`
	Started time.Time  `json:"started"`
	Ended   *time.Time `json:"ended"`
}

// StatusOf is the document of what an agent says.
func StatusOf(o controller.Overview) Status {
	s := StatusAlone(o.Jobs)
	s.Agent = &agentDoc{
		Started: o.Started.UTC(), Ready: o.Ready, Passed: when(o.Passed), Config: o.Config, Loaded: when(o.Loaded),
		LoadError: redactProse(o.LoadErr), NomadError: redactProse(o.NomadErr), FileErrors: redactAll(o.FilesErr),
		Polling: orEmpty(o.Polling), CalmUntil: when(o.Calm), Waiting: o.Waiting, Known: o.Known, Left: o.Left,
	}
	return s
}

// StatusAlone is the document without an agent.
func StatusAlone(jobs []controller.Status) Status {
	s := Status{FormatVersion: FormatVersion, Jobs: []StatusJob{}}
	for _, j := range jobs {
		s.Summary.add(j.Condition)
		s.Jobs = append(s.Jobs, statusJobOf(j))
	}
	return s
}

func statusJobOf(j controller.Status) StatusJob {
	out := StatusJob{
		Namespace: namespace(j.ID), ID: j.ID.Name, File: j.File, Source: j.Source, Condition: j.Condition,
		Reason: redactProse(j.Reason, j.ID.String(), j.ID.Name), Next: redactAll(j.Next), Since: when(j.Since), Looked: when(j.Looked),
		Revision: j.Revision.Revision(), Policies: j.Revision.Policies, Version: j.Version, Findings: j.Findings, Running: j.Running, Queued: j.Queued,
	}
	if r := j.LastRun; r != nil {
		out.LastRun = &lastRun{ID: r.ID, Kind: r.Kind, Result: string(r.Result), Reason: redactProse(r.Reason, j.ID.String(), j.ID.Name), Open: r.Open, Started: r.Started.UTC(), Ended: when(r.Ended)}
	}
	return out
}

// when is a time as documents have it: null where it is not known.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// Only keeps the jobs that keep says, and counts them alone.
func (s Status) Only(keep func(StatusJob) bool) Status {
	jobs := s.Jobs
	s.Jobs, s.Summary = []StatusJob{}, byCondition{}
	for _, j := range jobs {
		if keep(j) {
			s.Jobs = append(s.Jobs, j)
			s.Summary.add(j.Condition)
		}
	}
	return s
}

// StatusJSON writes the document.
func StatusJSON(w io.Writer, s Status) error { return encode(w, s) }

// JobStatus is all that is known of one job: the document of the agent's
// /v1/jobs/NAMESPACE/ID.
type JobStatus struct {
	FormatVersion string      `json:"format_version"`
	Job           StatusJob   `json:"job"`
	Plan          *plannedJob `json:"plan"` // null where it is in sync
	Runs          []pastRun   `json:"runs"` // the last ones, the newest first
}

// JobStatusOf makes it; plan may be nil.
func JobStatusOf(j controller.Status, plan *reconcile.Plan, runs []history.Run) JobStatus {
	out := JobStatus{FormatVersion: FormatVersion, Job: statusJobOf(j), Runs: []pastRun{}}
	if plan != nil {
		out.Plan = new(plannedOf(*plan))
	}
	for _, r := range runs {
		out.Runs = append(out.Runs, pastOf(r))
	}
	return out
}

// JobStatusJSON writes the document.
func JobStatusJSON(w io.Writer, s JobStatus) error { return encode(w, s) }

// QueuedJSON says how many jobs will be looked at now.
func QueuedJSON(w io.Writer, jobs int) error {
	return encode(w, struct {
		FormatVersion string `json:"format_version"`
		Queued        int    `json:"queued"`
	}{FormatVersion, jobs})
}

// Problem is why the agent does not answer what it was asked, and what to do.
type Problem struct {
	FormatVersion string `json:"format_version"`
	Error         string `json:"error"`
	Next          string `json:"next"`
}

// ProblemJSON writes it.
func ProblemJSON(w io.Writer, text, next string) error {
	return encode(w, Problem{FormatVersion, redactProse(text), redactProse(next)})
}

// Line writes a document in one line.
func Line(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(doc)
}

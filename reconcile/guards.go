package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// memory is what the history says when a pass begins: it is read once.
type memory struct {
	runs      []history.Run            // of all jobs, the newest first
	byJob     map[job.ID][]history.Run // of each, the newest first
	suspended []history.Suspension
	proven    bool         // a job has converged under this revision of the policies
	paused    *history.Run // the first run under this revision, if it failed and none has converged
}

func (p *Planner) recollect() (memory, error) {
	m := memory{byJob: map[job.ID][]history.Run{}, proven: true}
	if p.History == nil {
		return m, nil
	}
	var err error
	if m.runs, err = p.History.Runs(nil); err != nil {
		return m, fmt.Errorf("reading the history: %w", err)
	}
	if m.suspended, err = p.History.Suspensions(); err != nil {
		return m, err
	}
	for _, r := range m.runs {
		m.byJob[r.Job] = append(m.byJob[r.Job], r)
	}
	if p.Policies != nil {
		m.proven, m.paused = trial(m.runs, p.Policies.Revision())
	}
	return m, nil
}

// recollectJob reads what the history says of one job.
func (p *Planner) recollectJob(m *memory, id job.ID) error {
	if p.History == nil || m.byJob[id] != nil {
		return nil
	}
	runs, err := p.History.Runs(&id)
	if err != nil {
		return fmt.Errorf("reading the history of %s: %w", id, err)
	}
	m.byJob[id] = runs
	return nil
}

// Trial is what the history says of the policies in force.
type Trial struct {
	Proven bool         // a job has converged under this revision; else the agent tries one first
	Paused *history.Run // the first run under it, if it failed its gates and none has converged
}

// Trial reads the history of all jobs.
func (p *Planner) Trial() (Trial, error) {
	m, err := p.recollect()
	return Trial{m.proven, m.paused}, err
}

// recall adds what the history says of the job, and of this very revision of it.
func (m memory) recall(o *Observation) {
	o.Past, o.Paused = m.byJob[o.ID], m.paused
	for _, r := range o.Past {
		if r.Open {
			o.Open = new(r)
		}
	}
	for _, s := range m.suspended {
		if o.Suspended == nil && s.Holds(o.ID) {
			o.Suspended = new(s)
		}
	}
	run := failedRun(o.Past)
	if run == nil {
		return
	}
	if run.Basis.SameRevision(o.Basis) {
		o.Failed = run
	}
	left := made(*run)
	if o.By != nil && run.VersionAfter == o.Live.State.Version { // the document that the run left is the live job
		left.File = o.Basis.File
	}
	if run.Result == history.Failed && left.SameRevision(o.Basis) {
		o.Broken = run
	}
}

// made is the revision at which a run left file and job.
func made(r history.Run) history.Basis {
	b := r.Basis
	b.File = cmp.Or(r.NewFile, b.File)
	return b
}

// failedRun is a job's newest run that touched anything, if that run failed its
// gates: rolled back or left as it was. A rollback by hand proves nothing about a
// revision and is passed over.
func failedRun(runs []history.Run) *history.Run {
	i := slices.IndexFunc(runs, func(r history.Run) bool { return !r.Open && r.Of == "" && r.Result.Touched() })
	if i < 0 || runs[i].Result == history.Converged || !runs[i].FailedGate() {
		return nil
	}
	return &runs[i]
}

// trial says of a revision of the policies whether a job has converged under it, and
// if none has, which was the first run that failed its gates. Only gates prove
// anything: a run that edits a file alone has none.
func trial(runs []history.Run, policies string) (proven bool, failed *history.Run) {
	for i, r := range runs {
		if r.Open || r.Of != "" || r.Basis.Policies != policies || len(r.Gates) == 0 {
			continue
		}
		switch {
		case r.Result == history.Converged:
			return true, nil
		case r.Result.Touched() && r.FailedGate():
			failed = &runs[i]
		}
	}
	return false, failed
}

// A fight is when one fix was made fightRuns times within fightWindow.
const (
	fightRuns   = 3
	fightWindow = 24 * time.Hour
)

// fought are the agent's last runs, the newest first, that did the action to the job
// and left it at the revision: fightRuns of them within fightWindow, or none. What a
// person has run since counts as an answer, so only later runs are looked at.
func fought(runs []history.Run, action Action, at history.Basis) []history.Run {
	var out []history.Run
	for _, r := range runs {
		switch {
		case r.Open || !r.Result.Touched():
		case r.Kind != AgentKind:
			return nil
		case r.Result == history.Converged && made(r).SameRevision(at) && slices.Contains(r.Actions, string(action)):
			out = append(out, r)
		}
		if len(out) == fightRuns {
			break
		}
	}
	if len(out) < fightRuns || out[0].Started.Sub(out[fightRuns-1].Started) > fightWindow {
		return nil
	}
	return out
}

// AgentKind is the Kind of an Applier that nobody asked.
const AgentKind = "agent"

// brakes are read when it is known what would be done: they keep the agent from
// doing it. A person's plan names them and goes on.
var brakes = []func(Observation, Plan) *Hold{fight, paused}

func fight(o Observation, p Plan) *Hold {
	at := o.Basis
	if o.File != nil {
		at.File = history.Hash(o.File.After)
	}
	for _, action := range p.Actions {
		if runs := fought(o.Past, action, at); runs != nil {
			return &Hold{
				Reason: fmt.Sprintf("fight: the fix was undone %d times since run %s, somebody or something puts it back", fightRuns, runs[fightRuns-1].ID),
				Next:   fmt.Sprintf("find who puts it back, a pipeline perhaps, or a second controller; then: reconcile apply %s", o.ID),
				Passes: true,
			}
		}
	}
	return nil
}

func paused(o Observation, _ Plan) *Hold {
	if o.Paused == nil {
		return nil
	}
	return &Hold{
		Reason: fmt.Sprintf("policies revision %s failed its first run on %s (run %s): paused", shortRevision(o.Paused.Basis.Policies), o.Paused.Job, o.Paused.ID),
		Next:   fmt.Sprintf("mend the policy, or try it on this job: reconcile apply %s", o.ID),
		Passes: true,
	}
}

func shortRevision(hash string) string { return hash[:min(8, len(hash))] }

func suspended(o Observation) *Hold {
	if o.Suspended == nil {
		return nil
	}
	s := *o.Suspended
	text, name := "suspended", s.Job
	if s.All() {
		text, name = "all jobs are suspended", "-all"
	}
	return &Hold{Reason: s.Describe(text) + ": " + s.Reason, Next: "reconcile resume " + name, Passes: true}
}

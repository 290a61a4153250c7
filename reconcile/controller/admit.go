package controller

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// pass is what may be changed in one go: from a full pass, or from a moment in which
// files moved, to the next such moment. What Nomad tells of meanwhile belongs to it.
type pass struct {
	number  int
	left    int  // jobs that may still be changed
	full    bool // those that limits.max_changes has kept back get their turn
	stirred bool // something was looked at since all was last worked through
}

func (a *Agent) newPass(full bool) {
	a.batch++
	a.pass = pass{number: a.pass.number + 1, left: a.setup.MaxChanges, full: full, stirred: true}
}

// madeByRuns: no file has moved but those that runs of this pass have written. Such a
// move begins no pass: each run would pay for the next one, and limits.max_changes
// would limit nothing.
func (a *Agent) madeByRuns(moved reconcile.Moved) bool {
	return len(moved.Files) == 0 && !slices.ContainsFunc(moved.Jobs, func(id job.ID) bool { return !a.madeByRun(id) })
}

func (a *Agent) madeByRun(id job.ID) bool {
	k, files := a.jobs[id], a.catalog.Files(id)
	if k == nil || len(files) != 1 {
		return false
	}
	if k.status.Running {
		return true
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return false
	}
	is := history.Hash(text)
	if is == k.status.Revision.File { // as it was when it was last looked at
		return true
	}
	last := k.status.LastRun
	return k.ran == a.pass.number && last != nil && (is == last.NewFile || is == last.Basis.File)
}

// startRuns begins changes in the order of the jobs, when all is known that moved
// together with them: so the order is the same every time, and what two files declare
// is not taken for one.
func (a *Agent) startRuns(ctx context.Context) {
	a.startOpen(ctx)
	if a.nextTry = (time.Time{}); a.todo.len() == 0 || a.calm() {
		return
	}
	for id, c := range a.todo.each {
		switch {
		case a.running >= max(a.setup.Concurrency, 1), a.queue.open(c.batch):
			return
		case a.isRunning(id), a.isPutOff(id):
			continue
		case a.queue.soon(key{id: id}): // it is looked at again first, and keeps its place
			return
		case c.plan.Will(reconcile.Stop) && !a.catalog.Whole(): // nobody knows any more that no file declares it
			a.todo.drop(id)
			a.push(id)
			continue
		case a.pass.left == 0:
			a.postpone(id)
			continue
		}
		if c.plan.Will(reconcile.Register) && !a.mayRegister(id) {
			continue
		}
		a.todo.drop(id)
		a.pass.left--
		a.start(ctx, id, c)
	}
}

// isPutOff reports whether a job is to be left alone for a while yet, and notes when the
// first of them is not.
func (a *Agent) isPutOff(id job.ID) bool {
	k := a.jobs[id]
	if k == nil || !a.now().Before(k.notBefore) {
		return false
	}
	if a.nextTry.IsZero() || k.notBefore.Before(a.nextTry) {
		a.nextTry = k.notBefore
	}
	return true
}

func (a *Agent) isRunning(id job.ID) bool { return a.jobs[id] != nil && a.jobs[id].status.Running }

// mayRegister lets one job prove a new revision of the policies before the others
// follow. Edits of files alone prove nothing, and need no proof.
func (a *Agent) mayRegister(id job.ID) bool {
	if a.trial == nil {
		a.trial = a.readTrial()
	}
	switch {
	case a.trial.Proven:
		return true
	case a.trial.Paused != nil: // planned before that was known
		a.todo.drop(id)
		a.push(id)
		return false
	case a.trying:
		return false
	}
	a.trying = true
	return true
}

// readTrial asks the history. Where that cannot be read, one job has to prove the
// policies once more: that they have proved themselves would be a guess.
func (a *Agent) readTrial() *reconcile.Trial {
	trial, err := a.setup.Planner.Trial()
	switch {
	case err == nil:
		a.told.forget("trial")
		return &trial
	case a.told.anew("trial", err.Error()):
		a.Log.Error(err, "not known whether the policies have proved themselves")
	}
	return &reconcile.Trial{}
}

// provedElsewhere: a run that was not begun as the first may have proved the policies
// all the same, or the contrary: a person's, or one that a crash had left open. The
// history has it, and what waits for the proof is looked at again.
func (a *Agent) provedElsewhere(run history.Run) {
	if run.ID == "" || run.Open || a.trial == nil || a.trial.Proven {
		return
	}
	a.trial = nil
	for id, k := range a.jobs {
		if k.again && k.status.Condition == reconcile.Held {
			a.push(id)
		}
	}
}

// proved notes what the run of a first job says of the policies that it was planned
// under. Meanwhile others may have come into force, of which it says nothing.
func (a *Agent) proved(run history.Run) {
	a.trying = false
	if run.ID == "" || a.trial == nil || run.Basis.Policies != a.setup.Planner.Policies.Revision() {
		return
	}
	switch {
	case run.Result == history.Converged:
		a.trial.Proven = true
	case run.FailedGate() && !run.Open: // one that is open is gone on with, and says it then
		waiting := 0
		for id, c := range a.todo.of {
			if c.plan.Will(reconcile.Register) {
				waiting++
				a.push(id)
			}
		}
		a.trial.Paused = &run
		a.Log.Info("the first run under this revision of the policies has not converged: the others wait", "job", run.Job.String(), "run", run.ID, "waiting", waiting)
	}
}

// postpone keeps a change for the next full pass.
func (a *Agent) postpone(id job.ID) {
	a.todo.drop(id)
	if k := a.jobs[id]; k != nil {
		k.passed = a.pass.number
		k.status.Next = append([]string{fmt.Sprintf("waits for the next full pass: limits.max_changes = %d is reached; or: reconcile apply %s", a.setup.MaxChanges, id)}, k.status.Next...)
	}
	a.changed()
}

// refill gives changes that were kept back their turn: in a full pass all of them, in
// any other those of this pass, where a run has changed nothing after all.
func (a *Agent) refill() {
	room := a.pass.left
	for id := range a.todo.each {
		if k := a.jobs[id]; k == nil || !a.now().Before(k.notBefore) { // the others need none yet
			room--
		}
	}
	if room <= 0 {
		return
	}
	var kept []job.ID
	for id, k := range a.jobs {
		if k.passed != 0 && (a.pass.full || k.passed == a.pass.number) {
			kept = append(kept, id)
		}
	}
	slices.SortFunc(kept, a.whoseTurn)
	for _, id := range kept[:min(room, len(kept))] {
		a.jobs[id].passed = 0
		a.push(id)
	}
}

// whoseTurn: those whose runs come to nothing go after the others. Else a few of them
// would use up limits.max_changes in each pass, and nobody else ever had a turn.
func (a *Agent) whoseTurn(x, y job.ID) int {
	return cmp.Or(cmp.Compare(a.jobs[x].failures, a.jobs[y].failures), x.Compare(y))
}

// tellWaiting says once what limits.max_changes keeps back.
func (a *Agent) tellWaiting() {
	waiting := 0
	for _, k := range a.jobs {
		if k.passed != 0 {
			waiting++
		}
	}
	a.facts.Waiting = waiting
	if a.told.anew("max_changes", fmt.Sprint(waiting)) && waiting > 0 {
		a.Log.Info("limits.max_changes reached: the rest waits for the next pass, or for `reconcile apply`", "max_changes", a.setup.MaxChanges, "waiting", waiting)
	}
}

// calm puts off all that is to be done until the window of calm ends.
func (a *Agent) calm() bool {
	if a.setup.Calm == nil {
		return false
	}
	until, calm := a.setup.Calm(a.now())
	if !calm {
		return false
	}
	if a.facts.Calm = until; a.told.anew("calm", until.String()) {
		a.Log.Info("calm: nothing is changed until the window ends", "until", until, "waiting", a.todo.len())
	}
	for id := range a.todo.each {
		if k := a.jobs[id]; k != nil {
			k.calm = true
			k.status.Next = append([]string{fmt.Sprintf("waits until the window of calm ends, %s; or: reconcile apply %s", until.Format("Mon 15:04"), id)}, k.status.Next...)
		}
		a.todo.drop(id)
	}
	a.changed()
	return true
}

// calmEnded looks again at what the calm has put off.
func (a *Agent) calmEnded() {
	if a.facts.Calm.IsZero() || a.now().Before(a.facts.Calm) {
		return
	}
	a.facts.Calm = time.Time{}
	a.newPass(true)
	for id, k := range a.jobs {
		if k.calm {
			k.calm = false
			a.push(id)
		}
	}
}

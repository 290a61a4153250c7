package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/source"
)

// Settle finishes or undoes a run that a crash left open. The journal announces
// each deed before it is done, so the last entry says what may have happened;
// the file's bytes and the live job say what did. With undo it goes back even
// where it could go on.
func (a *Applier) Settle(ctx context.Context, open history.Run, rollout policies.Rollout, undo bool) (history.Run, error) {
	unlock, err := a.History.Lock(ctx, open.Job)
	if err != nil {
		return history.Run{}, err
	}
	defer unlock()
	r, err := a.resume(open, rollout)
	if err != nil {
		return history.Run{}, err
	}
	r.note("settle", "run "+open.ID+" was interrupted")
	bytes, err := r.fileNow()
	if err != nil {
		return r.leaveOpen(err)
	}
	if !touched(r.journal.Run(), bytes) {
		return r.close(history.Unchanged, "interrupted before anything was touched")
	}
	if r.next.Job != nil || r.does(Stop) { // else only a file is at stake
		err := r.locate(ctx)
		if errors.Is(err, errForeign) {
			return r.close(history.Failed, fmt.Sprintf("interrupted, and meanwhile %v: file and job stay as they are", err))
		}
		if err != nil {
			return r.leaveOpen(err)
		}
	}
	switch {
	case undo, bytes == foreignBytes, r.isBack, goingBack(r.journal.Run()):
		return r.undo(ctx, bytes)
	}
	return r.finish(ctx, r.carryOut(ctx))
}

func (a *Applier) resume(open history.Run, rollout policies.Rollout) (*run, error) {
	prior, next, err := a.History.Load(open.ID)
	if err != nil {
		return nil, err
	}
	journal, err := a.History.Resume(open)
	if err != nil {
		return nil, err
	}
	rollout.OnFailure = policies.OnFailure(open.OnFailure)
	rollout.Strategy = policies.Strategy(open.Strategy)
	r := &run{Applier: a, id: open.Job, rollout: rollout, of: open.Of, journal: journal, prior: prior, next: next, unsure: true}
	for _, action := range open.Actions {
		r.actions = append(r.actions, Action(action))
	}
	r.index = prior.JobModifyIndex
	return r, nil
}

// fileBytes is what the run's file holds now.
type fileBytes int

const (
	noBytes      fileBytes = iota // the run does not touch a file
	oldBytes                      // as before the run
	ourBytes                      // as the run wrote them
	foreignBytes                  // neither
)

func (r *run) fileNow() (fileBytes, error) {
	if r.next.Bytes == nil {
		return noBytes, nil
	}
	now, err := source.Read(r.prior.Root, r.prior.Path, r.prior.File)
	if err != nil {
		return 0, err
	}
	switch string(now.Bytes) {
	case string(r.next.Bytes):
		r.written = true
		return ourBytes, nil
	case string(r.prior.Bytes):
		return oldBytes, nil
	}
	return foreignBytes, nil
}

// touched reports whether anything may have been done: the write, or a request
// to Nomad.
func touched(rec history.Run, bytes fileBytes) bool {
	if bytes == ourBytes {
		return true
	}
	for _, name := range []string{"stop", "register"} {
		if _, ok := rec.Intent(name); ok {
			return true
		}
	}
	return false
}

func goingBack(rec history.Run) bool {
	for _, name := range []string{"restore file", "restore job", "await revert"} {
		if _, ok := rec.Intent(name); ok {
			return true
		}
	}
	return false
}

// locate finds out how far the run has come in Nomad.
func (r *run) locate(ctx context.Context) error {
	live, err := ReadLive(ctx, r.Nomad, r.id)
	if err != nil {
		return err
	}
	if live == nil {
		if r.prior.Job == nil {
			return nil
		}
		return fmt.Errorf("%w: it is gone from Nomad", errForeign)
	}
	now := *live.Job.JobModifyIndex
	rec := r.journal.Run()
	switch {
	case now == r.prior.JobModifyIndex:
		r.index, r.stopped, r.registered = now, false, nil
		return nil
	case r.lastWrite(rec, now) != "":
	case !r.mayBeOurs(ctx, rec, live):
		return errForeign
	}
	r.index = now
	r.stopped = live.State.Stopped
	r.registered = nil
	if !live.State.Stopped {
		r.registered = &gates.Change{ID: r.id, Job: live.Job, JobModifyIndex: now}
	}
	return nil
}

// lastWrite is the step whose write gave the live job the index that it has.
func (r *run) lastWrite(rec history.Run, index uint64) string {
	for _, name := range []string{"restore job", "await revert", "register", "stop"} {
		if step, ok := rec.Step(name); ok && step.Index == index && step.Result == history.OK {
			return name
		}
	}
	return ""
}

// mayBeOurs: the job moved, and a write was announced whose answer we never
// got. A stop is ours if the job is stopped, a register if its spec is what
// we meant to register, or what was there before the run.
func (r *run) mayBeOurs(ctx context.Context, rec history.Run, live *Live) bool {
	if live.State.Stopped {
		return pending(rec, "stop")
	}
	if pending(rec, "register") && r.isLive(ctx, r.next.Job) {
		return true
	}
	// Also where no journal could be written any more.
	r.isBack = r.isLive(ctx, r.prior.Job)
	return r.isBack
}

func (r *run) isLive(ctx context.Context, spec *api.Job) bool {
	if spec == nil {
		return false
	}
	diff, err := dryRun(ctx, r.Nomad, spec)
	return err == nil && isNone(diff)
}

// pending: announced, and not recorded as done since.
func pending(rec history.Run, name string) bool {
	intent, ok := rec.Intent(name)
	if !ok {
		return false
	}
	step, done := rec.Step(name)
	return !done || step.Started.Before(intent.At) || step.Result != history.OK
}

// undo goes back, whatever the run could still reach.
func (r *run) undo(ctx context.Context, bytes fileBytes) (history.Run, error) {
	why := "interrupted and undone"
	if bytes == foreignBytes {
		why = fmt.Sprintf("interrupted, and %s was edited meanwhile", r.prior.File)
	}
	fileNote, err := r.restoreFile()
	if err != nil {
		return r.leaveOpen(err)
	}
	if r.prior.Job == nil && r.registered != nil {
		r.registered, r.stopped = nil, false // there is no job to go back to; what was created stays
		why += "; the job was not registered before and stays"
	}
	jobNote, ok, err := r.restoreJob(ctx, restore)
	if err != nil {
		return r.leaveOpen(err)
	}
	why = withNotes(why, fileNote, jobNote)
	if !ok {
		return r.close(history.Failed, why)
	}
	return r.close(history.RolledBack, why)
}

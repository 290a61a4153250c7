package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/source"
)

// finish ends a run: well, or by going back as far as there is something to go
// back to. A run that was interrupted after its register, or whose way back
// Nomad does not answer, stays open.
func (r *run) finish(ctx context.Context, cause error) (history.Run, error) {
	cause = r.outwait(ctx, cause)
	if cause == nil {
		return r.close(history.Converged, "")
	}
	if waits, ok := errors.AsType[*personError](cause); ok {
		return r.close(history.Held, waits.needs)
	}
	if ctx.Err() != nil && r.registered != nil {
		return r.leaveOpen(cause)
	}
	r.unsure = r.unsure || ctx.Err() != nil
	r.parked = r.Kind == AgentKind && ctx.Err() != nil
	// What has been begun is put right even when the caller has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline(r.rollout, r.anyJob()))
	defer cancel()
	result, reason, err := r.goBack(ctx, cause)
	for pause := time.Second; errors.Is(err, nomad.ErrUnreachable) && sleep(ctx, pause); pause = min(2*pause, longestPause) {
		r.unsure = true
		result, reason, err = r.goBack(ctx, cause)
	}
	if err != nil {
		return r.leaveOpen(errors.Join(cause, inWords(err)))
	}
	return r.close(result, reason)
}

// inWords: all that waits here waits for Nomad.
func inWords(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w before the deadline", nomad.ErrUnreachable)
	}
	return err
}

// longestPause is between two questions to a Nomad that does not answer.
const longestPause = 15 * time.Second

// sleep is false when ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// outwait: a Nomad that restarts in the middle of a run is waited for, up to
// the deadline; then the run goes on from where it really is. So it does when a
// request that nobody heard the answer of has come in between.
func (r *run) outwait(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, deadline(r.rollout, r.anyJob()))
	defer cancel()
	for pause := time.Second; r.mayPass(cause); pause = min(2*pause, longestPause) {
		if !sleep(ctx, pause) {
			return cause
		}
		if err := r.locate(ctx); err != nil {
			cause = inWords(err)
			continue
		}
		cause = inWords(r.carryOut(ctx))
	}
	return cause
}

// mayPass: a look at where the run really is may help. A conflict is looked into
// once for each request that may have been on its way.
func (r *run) mayPass(cause error) bool {
	if errors.Is(cause, nomad.ErrConflict) && r.unsure {
		r.unsure = false
		return true
	}
	if errors.Is(cause, nomad.ErrUnreachable) {
		r.unsure = true
		return true
	}
	return false
}

func (r *run) leaveOpen(cause error) (history.Run, error) {
	open := r.journal.Run()
	return open, errors.Join(cause, r.journal.Abandon(), &OpenError{Run: open})
}

func (r *run) close(result history.Result, reason string) (history.Run, error) {
	after := r.prior.Version
	if r.registered != nil {
		after = value(r.registered.Job.Version)
	}
	if err := r.journal.Close(result, reason, after); err != nil {
		return r.journal.Run(), err
	}
	return r.journal.Run(), nil
}

// wayBack is what becomes of a run that failed.
type wayBack int

const (
	restore     wayBack = iota // file and job as they were
	awaitRevert                // Nomad puts the job back by itself; the file is ours to restore
	leave                      // nothing better to go back to, or not ours to undo
)

// wayBackOf decides; it reads nothing but its arguments.
func wayBackOf(registered bool, prior history.Prior, onFailure policies.OnFailure, cause error) (wayBack, string) {
	switch {
	case errors.Is(cause, errForeign):
		return leave, "file and job stay as they are"
	case !registered:
		return restore, "everything is as it was"
	case prior.Job != nil && runsOnce(prior.Job):
		return leave, "to put a batch job back is to run it again: file and job stay as the run left them"
	case onFailure == policies.Keep:
		return leave, "kept as it is, as on_failure says"
	case !prior.Healthy:
		return leave, "the job was not healthy before either, so there was nothing better to go back to: file and job stay as the run left them"
	case reverted(cause):
		return awaitRevert, "Nomad rolled the job back"
	}
	return restore, "file and job are as they were"
}

// stillOurs looks, before anything is put back, whether the job is what we made of
// it: a gate may have failed because somebody else was quicker, and an answer that
// never came says nothing.
func (r *run) stillOurs(ctx context.Context, cause error) error {
	_, gate := errors.AsType[*gateError](cause)
	switch {
	case r.unsure && touched(r.journal.Run(), noBytes):
		if err := r.locate(ctx); err != nil {
			return err
		}
		r.unsure = false
	case gate && r.registered != nil && !reverted(cause):
		now, err := r.Nomad.Job(ctx, r.id)
		if err != nil && !errors.Is(err, nomad.ErrNotFound) {
			return err
		}
		if what := overtaken(now, r.registered.JobModifyIndex); what != "" {
			return fmt.Errorf("%w: %s (%v)", errForeign, what, cause)
		}
	}
	return nil
}

func overtaken(now *api.Job, index uint64) string {
	switch {
	case now == nil:
		return "it is gone from Nomad"
	case value(now.JobModifyIndex) == index:
		return ""
	case value(now.Stop):
		return "it was stopped"
	}
	return fmt.Sprintf("a newer revision (version %d) took over", value(now.Version))
}

// reverted: Nomad says that it registers the older version by itself.
func reverted(cause error) bool {
	text := cause.Error()
	return strings.Contains(text, "rolling back to job version") && !strings.Contains(text, "not rolling back")
}

// errForeign: the live job is neither what we found nor what we made of it.
var errForeign = errors.New("somebody else changed the job")

func (r *run) goBack(ctx context.Context, cause error) (history.Result, string, error) {
	if err := r.stillOurs(ctx, cause); errors.Is(err, errForeign) {
		cause = err
	} else if err != nil {
		return "", "", err
	}
	way, why := wayBackOf(r.registered != nil, r.prior, r.rollout.OnFailure, cause)
	if r.of != "" && way == leave {
		why = "a rollback that was asked for is not undone: file and job stay as they were before the run"
	}
	if errors.Is(cause, context.Canceled) {
		cause = errors.New("interrupted")
	}
	reason := fmt.Sprintf("%v; %s", cause, why)
	if way == leave {
		return history.Failed, reason, nil
	}
	if errors.Is(cause, source.ErrChanged) { // the write was refused: the file was never ours
		return history.RolledBack, reason, nil
	}
	fileNote, fileErr := r.restoreFile()
	jobNote, ok, err := r.restoreJob(ctx, way)
	if err = errors.Join(fileErr, err); err != nil {
		return "", "", err
	}
	if !ok && r.registered == nil && fileNote == "" {
		reason = fmt.Sprintf("%v; the file is as it was", cause)
	}
	reason = withNotes(reason, fileNote, jobNote)
	if !ok || fileNote != "" {
		return history.Failed, reason, nil
	}
	return history.RolledBack, reason, nil
}

// withNotes adds what could not be put back.
func withNotes(reason string, notes ...string) string {
	for _, note := range notes {
		if note != "" {
			reason += "; " + note
		}
	}
	return reason
}

// restoreFile puts the old bytes back if the file still holds ours.
func (r *run) restoreFile() (note string, err error) {
	if r.next.Bytes == nil {
		return "", nil
	}
	now, err := source.Read(r.prior.Root, r.prior.Path, r.prior.File)
	if err != nil {
		return fmt.Sprintf("%s could not be read, its old bytes are in %s", r.prior.File, r.journal.Run().Backup), nil
	}
	if string(now.Bytes) == string(r.prior.Bytes) {
		return "", nil
	}
	if string(now.Bytes) != string(r.next.Bytes) {
		return fmt.Sprintf("%s was edited meanwhile and stays so, its old bytes are in %s", r.prior.File, r.journal.Run().Backup), nil
	}
	return "", r.mend("restore file", func() (string, error) {
		return r.prior.File, source.Write(r.prior.Root, now, r.prior.Bytes)
	})
}

// restoreJob registers what was there before, with its submission, and waits
// until it is healthy again.
func (r *run) restoreJob(ctx context.Context, way wayBack) (note string, ok bool, err error) {
	if r.registered == nil && !r.stopped {
		return "", true, nil
	}
	if step, _ := r.journal.Run().Step("wait"); r.registered == nil && step.Result != history.OK && !r.unended && !r.parked {
		// What the old allocations hold must be free again; one that does not end
		// keeps nobody from going back.
		_ = r.mend("wait", func() (string, error) { return r.waitEnded(ctx) })
	}
	if way == awaitRevert {
		err = r.step("await revert", func() (string, error) { return r.awaitRevert(ctx) })
	} else {
		err = r.mend("restore job", func() (string, error) { return r.put(ctx, r.prior.Job, r.prior.Submission) })
	}
	if errors.Is(err, nomad.ErrConflict) {
		return "the job was registered by somebody else meanwhile and stays so", false, nil
	}
	if err != nil {
		return "", false, err
	}
	if r.parked { // the next start waits for its health
		return "", false, errParked
	}
	if !r.prior.Healthy { // it gets its spec back in any case; its health was no better
		return "", true, nil
	}
	needs, err := r.deploy(ctx, "after the rollback")
	if errors.Is(err, errForeign) {
		return "the job was registered by somebody else meanwhile and stays so", false, nil
	}
	if failed, ok := errors.AsType[*gateError](err); ok {
		return "what was there before is not healthy any more: " + failed.detail, false, nil
	}
	return needs, err == nil && needs == "", err
}

// errParked: the agent ends, and leaves the rest of the way back to its next start.
var errParked = errors.New("the agent was ended; its next start goes on")

// mend is a step on the way back. A journal that cannot be written, on a full disk,
// keeps nothing from being put back: the run stays open then, and the next one
// finds out how far this has come.
func (r *run) mend(name string, deed func() (string, error)) error {
	done := false
	err := r.step(name, func() (string, error) {
		done = true
		return deed()
	})
	if !done {
		_, did := deed()
		return errors.Join(did, err)
	}
	return err
}

// awaitRevert waits for the version that Nomad's auto_revert registers.
func (r *run) awaitRevert(ctx context.Context) (string, error) {
	var index uint64
	for {
		j, next, err := r.Nomad.WatchJob(ctx, r.id, index)
		if err != nil {
			return "", err
		}
		if at := value(j.JobModifyIndex); at > r.registered.JobModifyIndex {
			r.index = at
			r.registered = &gates.Change{ID: r.id, Job: j, JobModifyIndex: at}
			return fmt.Sprintf("version %d", value(j.Version)), nil
		}
		index = next
	}
}

// rollbackRollout: the deployment gate alone, and no way back from the way back.
func (p *Planner) rollbackRollout(prior history.Prior, next history.Next) policies.Rollout {
	spec := prior.Job
	if spec == nil {
		spec = next.Job
	}
	ro := p.RolloutOf(spec)
	ro.Gates, ro.OnFailure = nil, policies.Keep
	return ro
}

// RolloutOf is how the policies want a job converged; the defaults where the job
// is nil or no rollout matches.
func (p *Planner) RolloutOf(j *api.Job) policies.Rollout {
	if j == nil || p.Policies == nil {
		return policies.Rollout{Strategy: policies.Update, OnFailure: policies.Rollback}
	}
	v, _ := p.Policies.Check(policies.LiveSide, j, j) // what is wrong with a rollout held the job when it was planned
	return v.Rollout
}

package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/source"
)

// PlanRollback is the plan that brings file and job back to before a run. It is
// never undone in turn.
func (p *Planner) PlanRollback(ctx context.Context, id string) (Plan, error) {
	plans, err := p.PlanRollbacks(ctx, []string{id})
	if err != nil {
		return Plan{}, err
	}
	return plans[0], nil
}

// PlanRollbacks is the same for several runs, in the order in which they are rolled
// back: the newest first. Where one job has several of them, the plan of an older
// one shows what it will do once the newer ones are rolled back; it is to be made
// again then.
func (p *Planner) PlanRollbacks(ctx context.Context, ids []string) ([]Plan, error) {
	runs, wanted, err := p.find(ids)
	if err != nil {
		return nil, err
	}
	var plans []Plan
	ahead := map[job.ID]*ahead{}
	for _, run := range runs {
		newer, err := p.newer(run)
		if err != nil {
			return nil, err
		}
		b := back{Planner: p, past: run, newer: newer, wanted: wanted, ahead: ahead[run.Job]}
		plan, err := b.plan(ctx)
		if err != nil {
			return nil, err
		}
		ahead[run.Job] = ahead[run.Job].then(plan)
		plans = append(plans, plan)
	}
	return plans, nil
}

// find are the runs of these IDs, each once, the newest first, and a set of them.
func (p *Planner) find(ids []string) ([]history.Run, map[string]bool, error) {
	wanted := map[string]bool{}
	var runs []history.Run
	for _, id := range ids {
		run, err := p.History.Find(id)
		if err != nil {
			return nil, nil, err
		}
		if !wanted[run.ID] {
			wanted[run.ID], runs = true, append(runs, run)
		}
	}
	slices.SortFunc(runs, func(a, b history.Run) int {
		return cmp.Or(b.Started.Compare(a.Started), strings.Compare(b.ID, a.ID))
	})
	return runs, wanted, nil
}

// newer are the runs of the same job that came later, the newest first. The records
// of other jobs need not be readable.
func (p *Planner) newer(run history.Run) ([]history.Run, error) {
	all, err := p.History.Runs(&run.Job)
	if err != nil {
		return nil, fmt.Errorf("reading what came after run %s: %w", run.ID, err)
	}
	i := slices.IndexFunc(all, func(r history.Run) bool { return r.ID == run.ID })
	if i < 0 {
		return nil, fmt.Errorf("run %s was removed from the history just now: `reconcile history` lists what is left", run.ID)
	}
	return all[:i], nil
}

// Undoes is the run that the plan rolls back; empty of any other plan.
func (p Plan) Undoes() string {
	if p.change == nil {
		return ""
	}
	return p.change.of
}

// ahead is what a job will be once newer runs of it are rolled back; nil: as it is.
type ahead struct {
	bytes   []byte   // of the file; nil: as they are
	job     *api.Job // nil: as it is
	stopped *bool    // nil: as it is
}

func (a *ahead) then(p Plan) *ahead {
	if !p.Does() {
		return a
	}
	out := ahead{}
	if a != nil {
		out = *a
	}
	if p.Will(EditFile) {
		out.bytes = p.change.after
	}
	if p.Will(Register) {
		out.job, out.stopped = p.change.register, new(false)
	}
	if p.Will(Stop) {
		out.stopped = new(true)
	}
	return &out
}

// back is one run that is to be rolled back.
type back struct {
	*Planner
	past   history.Run
	newer  []history.Run // of the same job, the newest first
	wanted map[string]bool
	ahead  *ahead

	prior history.Prior
	next  history.Next
}

func (b *back) plan(ctx context.Context) (Plan, error) {
	var err error
	if b.prior, b.next, err = b.History.Load(b.past.ID); err != nil {
		return Plan{}, err
	}
	plan := Plan{ID: b.past.Job, File: b.prior.File, Source: b.past.Source, Rollout: b.rollbackRollout(b.prior, b.next), change: &change{of: b.past.ID}}
	if h := b.held(); h != nil {
		return held(plan, h.Reason, h.Next), nil
	}
	if why := b.nothing(); why != "" {
		plan.Condition, plan.Reason = InSync, why
		return plan, nil
	}
	if h := b.file(&plan); h != nil {
		return held(plan, h.Reason, h.Next), nil
	}
	if err := b.job(ctx, &plan); err != nil {
		return Plan{}, err
	}
	if err := b.noteFile(&plan); err != nil {
		return Plan{}, err
	}
	plan.Condition, plan.Reason = InSync, "file and job are as they were before the run"
	if plan.Does() {
		plan.Condition, plan.Reason = OutOfSync, "back to before run "+b.past.ID
	}
	return plan, nil
}

// noteFile: a job that had no file then may have one now, which nobody asked to change.
func (b *back) noteFile(plan *Plan) error {
	if b.past.Source == "" {
		return nil
	}
	files, err := b.Declared()
	if name, ok := files[b.past.Job]; ok {
		plan.Notes = append(plan.Notes, name+" declares the job now and stays as it is: the live job will differ from it")
	}
	return err
}

func held(p Plan, reason, next string) Plan {
	p.Condition, p.Reason, p.Hold = Held, reason, &Hold{Reason: reason, Next: next}
	return p
}

// held is what the history says against it.
func (b *back) held() *Hold {
	if b.past.Open {
		return notEnded(b.past)
	}
	if b.past.Result == history.RolledBack {
		return &Hold{Reason: fmt.Sprintf("run %s was rolled back already", b.past.ID), Next: "reconcile history"}
	}
	after, stands := b.after()
	if i := slices.IndexFunc(after, func(r history.Run) bool { return r.Open }); i >= 0 {
		return notEnded(after[i])
	}
	var later []string
	for _, r := range after {
		if stands && !b.wanted[r.ID] {
			later = append(later, r.ID)
		}
	}
	if len(later) == 0 {
		return nil
	}
	changed := "run " + later[0]
	if len(later) > 1 {
		changed = "runs " + strings.Join(later, ", ")
	}
	return &Hold{
		Reason: fmt.Sprintf("%s came after run %s: going back to before it would lose that unseen", changed, b.past.ID),
		Next:   "go back through all of them: reconcile rollback " + strings.Join(append(later, b.past.ID), " "),
	}
}

// after are the newer runs that stand, and whether this one does.
func (b *back) after() (newer []history.Run, stands bool) {
	all := standing(append(slices.Clone(b.newer), b.past))
	newer = slices.DeleteFunc(slices.Clone(all), func(r history.Run) bool { return r.ID == b.past.ID })
	return newer, len(newer) < len(all)
}

// nothing says why there is nothing to go back from, whatever file and job are.
func (b *back) nothing() string {
	after, stands := b.after()
	switch {
	case b.past.Result == history.Unchanged:
		return "the run touched nothing"
	case !stands && len(after) > 0:
		return "the run was rolled back before others came"
	}
	return ""
}

func notEnded(r history.Run) *Hold {
	return &Hold{Reason: fmt.Sprintf("run %s has not ended", r.ID), Next: fmt.Sprintf("undo it first, by itself: reconcile rollback %s", r.ID)}
}

// standing are those of a job's runs that left something which was not taken back,
// the newest first, as the runs are.
func standing(runs []history.Run) []history.Run {
	var out []history.Run // the oldest first
	for _, r := range slices.Backward(runs) {
		undone := slices.IndexFunc(out, func(o history.Run) bool { return o.ID == r.Of })
		switch {
		case !r.Open && r.Result != history.Converged && r.Result != history.Failed:
		case undone >= 0 && !r.Open:
			out = slices.Delete(out, undone, undone+1)
		default:
			out = append(out, r)
		}
	}
	slices.Reverse(out)
	return out
}

func (b *back) file(plan *Plan) *Hold {
	if b.next.Bytes == nil {
		return nil
	}
	now, err := source.Read(b.prior.Root, b.prior.Path, b.prior.File)
	if err != nil {
		return &Hold{Reason: err.Error(), Next: "the old bytes are in " + b.past.Backup}
	}
	if b.ahead != nil && b.ahead.bytes != nil {
		now.Bytes = b.ahead.bytes
	}
	switch string(now.Bytes) {
	case string(b.prior.Bytes):
		return nil
	case string(b.next.Bytes):
		plan.change.root, plan.change.doc, plan.change.after = b.prior.Root, now, b.prior.Bytes
		plan.FileDiff = unified(b.prior.File, now.Bytes, b.prior.Bytes)
		plan.Actions = append(plan.Actions, EditFile)
		return nil
	}
	return &Hold{
		Reason: fmt.Sprintf("%s was edited after the run: going back would lose that", b.prior.File),
		Next:   fmt.Sprintf("merge by hand; the old bytes are in %s", b.past.Backup),
	}
}

func (b *back) job(ctx context.Context, plan *Plan) error {
	live, err := ReadLive(ctx, b.Nomad, b.past.Job)
	if err != nil {
		return err
	}
	if live == nil {
		if b.prior.Job != nil && b.touchedJob() {
			b.register(plan)
		}
		return nil
	}
	plan.Basis.JobModifyIndex = *live.Job.JobModifyIndex
	if !b.touchedJob() {
		plan.Live = &live.State
		return nil
	}
	if b.foreign(live) {
		plan.Notes = append(plan.Notes, fmt.Sprintf("somebody else registered version %d after the run; that is taken back too", live.State.Version))
	}
	live = b.ahead.of(live)
	plan.Live = &live.State
	if b.prior.Job == nil || b.prior.Stopped {
		if !live.State.Stopped {
			plan.Actions = append(plan.Actions, Stop)
		}
		return nil
	}
	diff, differs, err := b.liveDiff(ctx, live)
	if err != nil || !differs && !live.State.Stopped {
		return err
	}
	plan.LiveDiff = marked(diff, true)
	b.register(plan)
	return nil
}

func (b *back) register(plan *Plan) {
	plan.Actions = append(plan.Actions, Register)
	plan.change.register, plan.change.submission = b.prior.Job, b.prior.Submission
}

// of is the live job as it will be.
func (a *ahead) of(live *Live) *Live {
	if a == nil {
		return live
	}
	out := *live
	if a.stopped != nil {
		out.State.Stopped = *a.stopped
	}
	if a.job != nil {
		out.Job = a.job
	}
	return &out
}

// liveDiff: Nomad is asked what would change, but for a job that is not there yet.
func (b *back) liveDiff(ctx context.Context, live *Live) (diff []job.Difference, differs bool, err error) {
	if b.ahead != nil && b.ahead.job != nil {
		diff = job.Diff(live.Job, b.prior.Job, nil)
		return diff, len(diff) > 0, nil
	}
	theirs, err := dryRun(ctx, b.Nomad, b.prior.Job)
	if err != nil || isNone(theirs) {
		return nil, false, err
	}
	return differences(live.Job, b.prior.Job, theirs, nil), true, nil
}

// touchedJob: a run that only edited the file has not even looked at the job.
func (b *back) touchedJob() bool {
	return slices.Contains(b.past.Actions, string(Register)) || slices.Contains(b.past.Actions, string(Stop))
}

// foreign: the last run that registered the job left another version than there is.
func (b *back) foreign(live *Live) bool {
	for _, r := range append(slices.Clone(b.newer), b.past) {
		switch {
		case r.Result != history.Converged && r.Result != history.Failed && r.Result != history.RolledBack:
		case slices.Contains(r.Actions, string(Stop)):
			return false // which version that left is not in the record
		case slices.Contains(r.Actions, string(Register)):
			return live.State.Version != r.VersionAfter
		}
	}
	return false
}

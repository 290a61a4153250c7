package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// known is what the agent remembers of one job.
type known struct {
	status Status
	plan   *reconcile.Plan // of a job that is not in sync or has findings; it cannot be carried out any more
	index  uint64          // the live job's JobModifyIndex; 0 where Nomad does not know it
	health string          // what the list said of its allocations when that was the word; empty: not known
	again  bool            // to be looked at in the next full pass, whether or not anything moves
	calm   bool            // ... and when the calm ends
	passed int             // the pass in which limits.max_changes kept it back; 0: none did
	ran    int             // the pass in which a run of it last was under way; 0: none was
	gone   time.Time       // when its file was first missing
	moved  time.Time       // when something moved that has not been answered yet
	told   string

	failures  int       // runs in a row that came to nothing without a gate's word
	notBefore time.Time // when the next one may begin
	basis     history.Basis
	epoch     int // of the setup under which it was last looked at
	found     map[Finding]int
}

// startLooks looks at what waits, as many at once as the limit says. While Nomad does
// not answer nobody asks it.
func (a *Agent) startLooks(ctx context.Context) {
	for a.looking < max(a.setup.Concurrency, 1) && a.nomad.err == "" && !a.nomad.needed && ctx.Err() == nil {
		it, ok := a.queue.pop(a.now())
		if !ok {
			return
		}
		if it.batch == 0 && !it.retry {
			it.batch = a.batch
		}
		a.Metrics.Waited(a.now().Sub(it.due))
		a.looking++
		a.pass.stirred = true
		go a.look(ctx, it, a.askOf(it), a.setup, a.catalog, a.epoch)
	}
}

func (a *Agent) askOf(it *item) reconcile.Ask {
	ask := reconcile.Ask{ID: it.id, File: it.file, Listed: a.listed, Trial: reconcile.Trial{Proven: true}}
	if a.trial != nil {
		ask.Trial = *a.trial
	}
	if k := a.jobs[it.id]; k != nil && !k.gone.IsZero() {
		ask.Grace = a.now().Sub(k.gone) >= a.setup.Interval
	}
	return ask
}

// listed is what Nomad's list has said of a job, if nothing was heard of it since.
func (a *Agent) listed(id job.ID) *api.JobListStub {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stubs[id]
}

func (a *Agent) look(ctx context.Context, it *item, ask reconcile.Ask, setup Setup, catalog *reconcile.Catalog, epoch int) {
	looked, err := setup.Planner.Look(ctx, catalog, ask, setup.Sync)
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.wake()
	defer a.changed()
	a.looking--
	a.queue.done(it.key, a.now())
	switch {
	case epoch != a.epoch:
		if it.file == "" {
			a.push(it.id)
		}
	case err != nil && ctx.Err() != nil:
		a.queue.push(it.key, 0, a.now()) // so that nobody remembers it as done
	case err != nil:
		a.lookFailed(it.key, err)
	default: // also at the end: the catalog has taken in that the file was read
		a.told.forget("look " + it.name())
		if looked.Open == nil {
			a.queue.succeeded(it.key)
		}
		a.lookedAt(it, looked)
	}
}

// lookFailed tries again later. A Nomad that does not answer is waited for, by one who
// asks, not by all.
func (a *Agent) lookFailed(k key, err error) {
	if errors.Is(err, nomad.ErrUnreachable) {
		a.queue.push(k, 0, a.now())
		a.lost(err)
		return
	}
	a.queue.retry(k, a.now())
	a.Metrics.Retried()
	if a.told.anew("look "+k.name(), err.Error()) {
		a.Log.Error(err, "cannot be looked at now; it is tried again", "job", k.name())
	}
	if known := a.jobs[k.id]; known != nil {
		if known.status.Condition != reconcile.Held {
			known.status.Condition, known.status.Since = reconcile.Held, a.now()
		}
		known.status.Reason, known.status.Next = err.Error(), nil
		known.health, known.plan, known.told = "", nil, "" // how it goes on is news
	}
}

// lookedAt takes in what a look has found.
func (a *Agent) lookedAt(it *item, looked reconcile.Looked) {
	for _, other := range looked.Others {
		a.push(other)
	}
	id := looked.ID
	if id == (job.ID{}) {
		return
	}
	if it.file != "" && (len(a.catalog.Files(id)) > 1 || a.queue.isBusy(key{id: id})) {
		a.todo.drop(id) // which was planned as if there were one file
		a.push(id)
		return
	}
	a.diagnose(looked.Diagnostics)
	if looked.Open != nil && !a.queue.isBusy(key{id: id}) && !slices.ContainsFunc(a.open, func(r history.Run) bool { return r.ID == looked.Open.ID }) {
		a.open = append(a.open, *looked.Open)
	}
	k := a.jobs[id]
	if looked.Plan == nil {
		a.forget(id)
		if looked.Last != nil {
			a.nobodys[id] = true
		}
		return
	}
	delete(a.nobodys, id)
	if k != nil && looked.Plan.Hold.Unread() && a.queue.readsFiles() {
		k.epoch = a.epoch - 1 // it is looked at when they are read: one of them may declare it
		a.todo.drop(id)
		return
	}
	a.decided(it, looked)
}

// forget: the job is nobody's any more.
func (a *Agent) forget(id job.ID) {
	if k := a.jobs[id]; k != nil {
		a.Log.Info("forgotten: no job file declares it any more", "job", id.String())
	}
	delete(a.jobs, id)
	a.todo.drop(id)
	a.memory.dirty = true
}

// decided notes a job's plan, and whether there is something to do.
func (a *Agent) decided(it *item, looked reconcile.Looked) {
	p, id := looked.Plan, looked.ID
	k := a.jobs[id]
	if k == nil {
		k = &known{status: Status{ID: id}}
		a.jobs[id] = k
	}
	if k.moved.IsZero() && it.batch != 0 && a.facts.Ready {
		k.moved = it.since
	}
	a.describe(k, looked)
	k.found = FindingsOf(*p)
	k.health = ""
	if stub := a.stubs[id]; stub != nil && stub.JobModifyIndex == looked.Index {
		k.health = healthOf(stub)
	}
	if p.Basis != k.basis { // something moved: what failed may not fail again
		k.basis, k.failures, k.notBefore = p.Basis, 0, time.Time{}
	}
	k.epoch = a.epoch
	k.index, k.calm, k.passed = looked.Index, false, 0
	if wait := k.notBefore.Sub(a.now()); wait > 0 && looked.Last != nil {
		k.status.Next = append([]string{fmt.Sprintf("run %s came to nothing, it is tried again in %s: %s", looked.Last.ID, wait.Round(time.Second), looked.Last.Reason)}, k.status.Next...)
	}
	k.again = p.Does() || p.Condition == reconcile.Orphan || p.Hold != nil && p.Hold.Passes
	if p.Live != nil && !p.Live.Until.IsZero() {
		a.queue.pushAt(key{id: id}, a.batch, a.now(), p.Live.Until)
	}
	a.noteGone(k, p)
	a.logPlan(k, *p)
	if p.Does() {
		a.todo.put(id, candidate{plan: *p, batch: it.batch})
	} else {
		a.todo.drop(id)
		k.moved = time.Time{}
	}
	k.plan = nil
	if p.Condition != reconcile.InSync || len(p.Findings) > 0 {
		k.plan = shown(p)
	}
	a.memory.dirty = true
}

// shown is a plan that is kept for being looked at alone.
func shown(p *reconcile.Plan) *reconcile.Plan {
	out := p.Shown()
	return &out
}

// noteGone counts from when a job's file was first missing.
func (a *Agent) noteGone(k *known, p *reconcile.Plan) {
	switch {
	case p.File != "" || p.Source != "":
		k.gone = time.Time{}
	case k.gone.IsZero():
		k.gone = a.now()
	}
}

// describe brings a job's status up to date.
func (a *Agent) describe(k *known, looked reconcile.Looked) {
	s := StatusOf(*looked.Plan, nil)
	s.Looked, s.LastRun, s.Since, s.Running = a.now(), looked.Last, k.status.Since, k.status.Running
	if s.Condition != k.status.Condition {
		s.Since = s.Looked
	}
	k.status = s
}

// diagnose tells of mistakes in files and policies, each once while it is there.
func (a *Agent) diagnose(diags hcl.Diagnostics) {
	for _, d := range diags {
		where := ""
		if d.Subject != nil {
			where = fmt.Sprintf("%s:%d:%d", d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column)
		}
		if text := d.Summary + ": " + d.Detail; a.told.anew("diagnostic "+where+d.Summary, text) {
			a.Log.V(1).Info("diagnostic", "at", where, "summary", d.Summary, "detail", job.RedactText(d.Detail))
		}
	}
}

// logPlan tells of a job when what is to be told has changed: nothing at idle.
func (a *Agent) logPlan(k *known, p reconcile.Plan) {
	values := decision(p)
	text := fmt.Sprint(values...)
	level := 0
	if k.told == text {
		level = 1
	}
	k.told = text
	a.Log.V(level).Info("decided", append(values, "revision", short(p.Basis.Revision()))...)
}

func decision(p reconcile.Plan) []any {
	values := []any{"job", p.ID.String(), "condition", p.Condition, "file", p.File}
	if p.Source != "" {
		values = []any{"job", p.ID.String(), "condition", p.Condition, "source", p.Source}
	}
	if p.Reason != "" {
		values = append(values, "reason", p.Reason)
	}
	if len(p.Actions) > 0 {
		values = append(values, "actions", p.Actions)
	}
	if p.Hold != nil {
		values = append(values, "next", p.Hold.Next)
	}
	if len(p.Left) > 0 {
		values = append(values, "left", p.Left)
	}
	return values
}

// lookAtUnread: jobs that no file which was read declares are looked at when all files
// were: under a new setup, and when one of them could not be read before.
func (a *Agent) lookAtUnread() {
	if !a.pass.stirred {
		return
	}
	whole := a.catalog.Whole()
	for id, k := range a.jobs {
		if k.epoch != a.epoch || whole && k.plan != nil && k.plan.Hold.Unread() {
			k.epoch = a.epoch
			a.push(id)
		}
	}
}

// settled notes when all that had moved has been worked through.
func (a *Agent) settled() {
	if a.looking > 0 || a.queue.ready.Len() > 0 || a.nomad.err != "" || a.nomad.wanted || a.nomad.listing {
		return
	}
	a.refill()
	a.lookAtUnread()
	if a.queue.ready.Len() > 0 {
		return
	}
	if a.pass.stirred {
		a.pass.stirred = false
		a.facts.Passed = a.now()
		a.stubs = nil
		a.changed()
		a.tellWaiting()
		a.tellState()
	}
	if !a.facts.Ready {
		a.facts.Ready = true
		a.findOrphans()
		a.Log.Info("first pass done", "jobs", len(a.jobs), "took", a.now().Sub(a.facts.Started).Round(time.Millisecond).String())
	}
	if a.running == 0 {
		a.save()
	}
}

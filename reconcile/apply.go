package reconcile

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/source"
)

// Applier carries plans out, one job at a time for each call.
type Applier struct {
	Nomad interface { // nil: plans that only edit files
		Nomad
		gates.Nomad
	}
	History  *history.Store
	Kind     string           // who asks: apply, agent, rollback, check
	By       string           // whose name the records bear; may be empty
	Beside   bool             // also leave a backup beside each file
	Clock    func() time.Time // of steps and backups
	Progress func(Event)      // called as steps begin and end; may be nil

	parses sync.Map // texts that Nomad has parsed alike, and when
}

// For is the same Applier, asked by somebody else.
func (a *Applier) For(kind, by string, progress func(Event)) *Applier {
	return &Applier{Nomad: a.Nomad, History: a.History, Kind: kind, By: by, Beside: a.Beside, Clock: a.Clock, Progress: progress}
}

// Event is one step of a run as it begins or ends.
type Event struct {
	Job      job.ID
	Step     string
	Outcome  history.Outcome // empty when the step begins
	Detail   string
	Duration time.Duration
}

// StaleError: the file or the job moved after the plan was made. Nothing was
// done.
type StaleError struct {
	Job  job.ID
	What string
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("%s: %s since it was planned; nothing was done: run the command again to plan with what is there now", e.Job, e.What)
}

// OpenError: the run was interrupted after its register. It stays open.
type OpenError struct {
	Run history.Run
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("run %s was interrupted and is open: `reconcile apply` goes on with its gates, `reconcile rollback %s` undoes it", e.Run.ID, e.Run.ID)
}

// run is one application under way.
type run struct {
	*Applier
	id      job.ID
	rollout policies.Rollout
	of      string // the run that this one rolls back
	actions []Action
	journal *history.Journal
	prior   history.Prior
	next    history.Next

	written    bool
	stopped    bool
	registered *gates.Change
	index      uint64 // what the next write must find
	unsure     bool   // a request may still be on its way that nobody waits for any more
	isBack     bool   // the live job is what it was before the run
	parked     bool   // nobody waits for the health of what is put back
	unended    bool   // the wait for the old allocations' end was given up
}

// Apply does what the plan says, in this order, and returns the run as it was
// recorded. An error means that nothing was changed, or an *OpenError. A plan
// that does nothing is a run without an ID.
func (a *Applier) Apply(ctx context.Context, p Plan) (history.Run, error) {
	if !p.Does() {
		return idle(p), nil
	}
	if p.change == nil {
		return history.Run{}, errors.New("applying a plan that was made to be shown alone")
	}
	unlock, err := a.History.Lock(ctx, p.ID)
	if err != nil {
		return history.Run{}, err
	}
	defer unlock()
	r := a.newRun(p)
	if err := r.snapshot(ctx, p); err != nil {
		return history.Run{}, err
	}
	if why, err := r.refused(ctx, p); err != nil || why != "" {
		return heldRun(p, why), err
	}
	if why := r.before(ctx); why != "" {
		return heldRun(p, why), nil
	}
	if err := r.begin(p); err != nil {
		return history.Run{}, err
	}
	return r.finish(ctx, r.carryOut(ctx))
}

func idle(p Plan) history.Run {
	out := history.Run{Job: p.ID, File: p.File, Source: p.Source, Result: history.Unchanged, Reason: p.Reason}
	switch p.Condition {
	case Held, Converging:
		out.Result = history.Held
	case Denied:
		out.Result = history.Denied
	}
	return out
}

func heldRun(p Plan, why string) history.Run {
	return history.Run{Job: p.ID, File: p.File, Source: p.Source, Result: history.Held, Reason: why}
}

func (a *Applier) newRun(p Plan) *run {
	r := &run{Applier: a, id: p.ID, rollout: p.Rollout, of: p.change.of, actions: p.Actions}
	r.prior = history.Prior{File: p.File, Path: p.change.doc.Path, Root: p.change.root, Bytes: p.change.doc.Bytes, Mode: p.change.doc.Mode}
	r.next = history.Next{Bytes: p.change.after, Job: p.change.register, Submission: p.change.submission, Changes: remembered(p.LiveDiff)}
	return r
}

// young is how old a plan may be to rely on what it has read of the live job: the
// agent carries its plans out at once, a person reads them first. Every write checks
// the job's index in any case.
const young = time.Second

// snapshot reads file and job once more, under the lock: what is kept for the
// way back is what was planned with, or the plan is stale.
func (r *run) snapshot(ctx context.Context, p Plan) error {
	if p.change.doc.Path != "" {
		now, err := source.Read(r.prior.Root, p.change.doc.Path, p.File)
		if err != nil {
			return err
		}
		if string(now.Bytes) != string(p.change.doc.Bytes) {
			return &StaleError{Job: r.id, What: p.File + " changed"}
		}
	}
	if r.Nomad == nil {
		return nil
	}
	live, err := r.liveNow(ctx, p)
	if err != nil {
		return err
	}
	if live == nil {
		if p.Basis.JobModifyIndex != 0 {
			return &StaleError{Job: r.id, What: "the job was removed from Nomad"}
		}
		return nil
	}
	r.index = *live.Job.JobModifyIndex
	if r.index != p.Basis.JobModifyIndex {
		return &StaleError{Job: r.id, What: fmt.Sprintf("the job was registered by somebody else (index %d, now %d)", p.Basis.JobModifyIndex, r.index)}
	}
	r.prior.Job, r.prior.Submission = live.Job, live.Submission
	r.prior.Healthy, r.prior.Stopped = live.State.Healthy, live.State.Stopped
	r.prior.Version, r.prior.JobModifyIndex = live.State.Version, r.index
	return nil
}

// relies reports whether what the plan has read of the live job is taken for what it is
// now.
func (r *run) relies(p Plan) bool {
	return r.Kind == AgentKind && !p.change.at.IsZero() && r.Clock().Sub(p.change.at) <= young
}

func (r *run) liveNow(ctx context.Context, p Plan) (*Live, error) {
	seen := p.change.live
	if !r.relies(p) {
		return ReadLive(ctx, r.Nomad, r.id)
	}
	if seen == nil {
		return nil, nil
	}
	if _, err := seen.submission(ctx, r.Nomad); err != nil {
		return nil, err
	}
	if seen.rough && !value(seen.Job.Stable) { // what it is worth is for its allocations to say
		return seen, seen.readHealth(ctx, r.Nomad, p.change.at)
	}
	return seen, nil
}

// refused asks Nomad before anything is touched: its own parse of the file must
// give our job, and the spec to be registered must pass its admission.
func (r *run) refused(ctx context.Context, p Plan) (string, error) {
	if r.Nomad == nil {
		return "", nil
	}
	if key := parseKey(p); p.change.fileSource != nil && !p.change.localParse && !r.parsed(key) {
		theirs, err := r.Nomad.Parse(ctx, r.id.Namespace, p.change.fileSource)
		switch {
		case errors.Is(err, nomad.ErrForbidden):
			r.note("server parse", "skipped: "+err.Error())
		case errors.Is(err, nomad.ErrUnreachable), ctx.Err() != nil:
			return "", err
		case err != nil:
			return fmt.Sprintf("Nomad refuses to parse %s: %v", p.File, err), nil
		default:
			if d := parseDifference(p.change.fileJob, inNamespace(theirs, r.id)); d != "" {
				return fmt.Sprintf("Nomad parses %s differently at %s; please report this with the file", p.File, d), nil
			}
			r.parses.Store(key, r.Clock())
		}
	}
	if r.next.Job == nil || p.change.admitted && r.relies(p) {
		return "", nil
	}
	_, err := r.Nomad.Plan(ctx, r.next.Job)
	if errors.Is(err, nomad.ErrUnreachable) || errors.Is(err, nomad.ErrForbidden) || ctx.Err() != nil {
		return "", err
	}
	if err != nil {
		return fmt.Sprintf("Nomad refuses the job: %v", err), nil
	}
	return "", nil
}

// parsedFor is how long Nomad's parse of a text stands: a newer Nomad may read it
// otherwise.
const parsedFor = time.Hour

// parsed reports whether this very text gave our job a while ago.
func (r *run) parsed(key string) bool {
	at, ok := r.parses.Load(key)
	return ok && r.Clock().Sub(at.(time.Time)) < parsedFor
}

func parseKey(p Plan) string {
	if p.change.fileSource == nil {
		return ""
	}
	text, _ := json.Marshal(p.change.fileSource) // strings alone
	return history.Hash(text)
}

func parseDifference(ours, theirs *api.Job) string {
	if job.Equal(ours, theirs) {
		return ""
	}
	if d := job.Diff(ours, theirs, nil); len(d) > 0 {
		return d[0].Path.String()
	}
	return "a field that job files do not show"
}

// before runs the gates that look before the change; one that fails blocks it. A
// job that is not registered yet has no allocations to be looked at.
func (r *run) before(ctx context.Context) string {
	list := gatesOf(r.rollout, true)
	c := gates.Change{ID: r.id, Job: cmp.Or(r.prior.Job, r.next.Job), JobModifyIndex: r.index}
	if len(list) == 0 {
		return ""
	}
	if c.Job == nil {
		return fmt.Sprintf("gate %s: the job is not registered, so there is nothing to look at before the change", gates.Title(list[0].Kind, list[0].Name))
	}
	ctx, cancel := context.WithTimeout(ctx, deadline(r.rollout, c.Job))
	defer cancel()
	results, newer := gates.All(ctx, r.Nomad, c, list, func(gates.Result) {})
	if newer != "" {
		return newer + "; nothing was touched"
	}
	if first := firstFailed(results); first != nil {
		return fmt.Sprintf("gate %s: %s; nothing was touched", gates.Title(first.Kind, first.Name), first.Detail)
	}
	return ""
}

// gatesOf are those that look before the change, or after it.
func gatesOf(ro policies.Rollout, before bool) []policies.Gate {
	var out []policies.Gate
	for _, g := range ro.Gates {
		if g.Before == before {
			out = append(out, g)
		}
	}
	return out
}

// firstFailed is the gate that ended the wait of the others.
func firstFailed(results []gates.Result) *gates.Result {
	for i := range results {
		if r := &results[i]; !r.Passed && !r.Cancelled {
			return r
		}
	}
	return nil
}

// begin makes the run durable: from here on a crash can be settled.
func (r *run) begin(p Plan) error {
	rec := history.Run{
		Job: r.id, Kind: r.Kind, By: r.By, Of: r.of, Started: r.Clock(), Basis: p.Basis, File: p.File, Source: p.Source,
		Strategy: string(r.rollout.Strategy), OnFailure: string(r.rollout.OnFailure), VersionBefore: r.prior.Version,
	}
	for _, a := range r.actions {
		rec.Actions = append(rec.Actions, string(a))
	}
	if r.next.Bytes != nil {
		rec.NewFile = history.Hash(r.next.Bytes)
	}
	journal, err := r.History.Begin(rec, r.prior, r.next)
	if err != nil {
		return err
	}
	r.journal = journal
	if backup := journal.Run().Backup; backup != "" {
		r.note("backup", backup)
	}
	return nil
}

// carryOut does what is left to do of the run's steps; after a crash some are
// done already.
func (r *run) carryOut(ctx context.Context) error {
	if r.next.Bytes != nil && !r.written {
		if err := r.write(ctx); err != nil {
			return err
		}
	}
	if r.does(Stop) {
		return r.stop(ctx)
	}
	if r.next.Job == nil {
		return nil
	}
	if r.registered == nil {
		if r.rollout.Strategy == policies.Restart && r.prior.Job != nil && !r.prior.Stopped {
			if err := r.stop(ctx); err != nil {
				return err
			}
		}
		if err := r.register(ctx); err != nil {
			return err
		}
	}
	return r.verify(ctx)
}

func (r *run) does(a Action) bool {
	for _, action := range r.actions {
		if action == a {
			return true
		}
	}
	return false
}

func (r *run) write(context.Context) error {
	doc := source.Document{Name: r.prior.File, Path: r.prior.Path, Bytes: r.prior.Bytes, Mode: r.prior.Mode}
	return r.step("write", func() (string, error) {
		detail := r.prior.File
		if r.Beside {
			path, err := source.Backup(doc, r.journal.Run().Started)
			if err != nil {
				return "", err
			}
			detail += ", backup " + path
		}
		err := source.Write(r.prior.Root, doc, r.next.Bytes)
		r.written = err == nil
		return detail, err
	})
}

// stop is a register with Stop = true: the delete call cannot check the index.
func (r *run) stop(ctx context.Context) error {
	if !r.stopped {
		err := r.step("stop", func() (string, error) {
			done, err := r.Nomad.Stop(ctx, r.prior.Job, r.index)
			if err != nil {
				return "", err
			}
			r.stopped, r.index = true, done.JobModifyIndex
			return fmt.Sprintf("version %d", r.prior.Version), nil
		})
		if err != nil {
			return err
		}
	}
	return r.step("wait", func() (string, error) { return r.waitEnded(ctx) })
}

// waitEnded: the old processes must be gone before the new ones start. Those of
// a version after our stop are not waited for: somebody registered the job
// meanwhile, which the next write finds out.
func (r *run) waitEnded(ctx context.Context) (string, error) {
	bound := min(stopBound(r.prior.Job), deadline(r.rollout, r.prior.Job))
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	var left []*api.AllocationListStub
	var index uint64
	for {
		allocs, next, err := r.Nomad.Allocations(ctx, r.id, index)
		if errors.Is(err, context.DeadlineExceeded) || ctx.Err() == context.DeadlineExceeded {
			r.unended = true
			return "", fmt.Errorf("its allocations did not end within %s%s; see `nomad job status %s`", bound, whoIsLeft(left), r.id.Name)
		}
		if err != nil {
			return "", err
		}
		if left = unended(allocs, r.prior.Version+1); len(left) == 0 {
			return "all allocations ended", nil
		}
		index = next
	}
}

// unended are the allocations, up to a version, that have not ended.
func unended(allocs []*api.AllocationListStub, version uint64) []*api.AllocationListStub {
	return slices.DeleteFunc(allocs, func(a *api.AllocationListStub) bool {
		switch a.ClientStatus {
		case api.AllocClientStatusPending, api.AllocClientStatusRunning, api.AllocClientStatusUnknown:
			return a.JobVersion > version
		}
		return true
	})
}

// whoIsLeft names the first that has not ended. One whose client is disconnected
// never does.
func whoIsLeft(allocs []*api.AllocationListStub) string {
	if len(allocs) == 0 {
		return ""
	}
	a := allocs[0]
	if a.ClientStatus == api.AllocClientStatusUnknown {
		return fmt.Sprintf(": %s is unknown, its node %s is disconnected", short(a.ID), a.NodeName)
	}
	return fmt.Sprintf(": %s is %s on node %s", short(a.ID), a.ClientStatus, a.NodeName)
}

// stopBound is the longest that Nomad may take: kill_timeout and shutdown_delay
// as the job says, and 30 s.
func stopBound(j *api.Job) time.Duration {
	var longest time.Duration
	for _, g := range j.TaskGroups {
		group := value(g.ShutdownDelay)
		for _, t := range g.Tasks {
			kill := 5 * time.Second
			if t.KillTimeout != nil {
				kill = *t.KillTimeout
			}
			longest = max(longest, group+t.ShutdownDelay+kill)
		}
	}
	return longest + 30*time.Second
}

func (r *run) register(ctx context.Context) error {
	return r.step("register", func() (string, error) {
		return r.put(ctx, r.next.Job, r.next.Submission)
	})
}

// put registers with the index that the last read or write gave, and reads back
// which version it has become.
func (r *run) put(ctx context.Context, j *api.Job, sub *api.JobSubmission) (string, error) {
	done, err := r.Nomad.Register(ctx, j, sub, r.index)
	if err != nil {
		return "", err
	}
	r.index = done.JobModifyIndex
	r.registered = &gates.Change{ID: r.id, Job: j, JobModifyIndex: done.JobModifyIndex, EvalID: done.EvalID}
	now, err := r.Nomad.Job(ctx, r.id)
	if err != nil {
		return "", err
	}
	if value(now.JobModifyIndex) > done.JobModifyIndex { // a quicker one, which may be Nomad's own revert
		ours := job.Clone(j)
		ours.Canonicalize()
		ours.Version = new(value(now.Version) - 1)
		now = ours
	}
	r.registered.Job = now
	return fmt.Sprintf("version %d", value(now.Version)), nil
}

// verify: the deployment gate, then the rollout's own, then once more a look
// whether what was healthy has stayed so.
func (r *run) verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deadline(r.rollout, r.registered.Job))
	defer cancel()
	needs, err := r.deploy(ctx, "")
	if err != nil {
		return err
	}
	if err := r.verifyGates(ctx); err != nil {
		return err
	}
	if needs != "" {
		return &personError{needs}
	}
	return nil
}

func (r *run) verifyGates(ctx context.Context) error {
	list := gatesOf(r.rollout, false)
	if len(list) == 0 {
		return nil
	}
	healthy, err := gates.Fresh(ctx, r.Nomad, *r.registered)
	if err != nil {
		return err
	}
	if err := r.ask(ctx, list); err != nil {
		return err
	}
	if ok, why := gates.Steady(ctx, r.Nomad, *r.registered, healthy); !ok {
		return &gateError{title: "deployment", detail: why}
	}
	return nil
}

// deploy asks the deployment gate; needs is what a person has to do before it
// goes on.
func (r *run) deploy(ctx context.Context, name string) (needs string, err error) {
	err = r.gate(ctx, func() gates.Result {
		result := gates.Deploy(ctx, r.Nomad, *r.registered)
		if result.NeedsPerson {
			needs = result.Detail
		}
		return result
	}, "deployment", name)
	return needs, err
}

// personError: all is well so far, and only a person can let it go on.
type personError struct{ needs string }

// Error says what the person has to do.
func (e *personError) Error() string { return e.needs }

// ask asks the rollout's own gates side by side and records what they said, in the
// order of the policy file.
func (r *run) ask(ctx context.Context, list []policies.Gate) error {
	for _, g := range list {
		r.progress(Event{Step: "gate " + gates.Title(g.Kind, g.Name)})
	}
	results, newer := gates.All(ctx, r.Nomad, *r.registered, list, func(result gates.Result) { r.tell(ctx, result) })
	for _, result := range results {
		if interrupted(ctx, result) {
			return fmt.Errorf("gate %s: %w", gates.Title(result.Kind, result.Name), context.Canceled)
		}
	}
	for _, result := range results {
		if err := r.record(result); err != nil {
			return err
		}
	}
	if newer != "" {
		return fmt.Errorf("%w: %s", errForeign, newer)
	}
	if first := firstFailed(results); first != nil {
		return &gateError{title: gates.Title(first.Kind, first.Name), detail: first.Detail}
	}
	return nil
}

// interrupted: a gate that was has said nothing. It is no proof against the
// revision.
func interrupted(ctx context.Context, result gates.Result) bool {
	return !result.Passed && errors.Is(ctx.Err(), context.Canceled)
}

// gateError: the change was made and a gate does not accept it.
type gateError struct {
	title  string
	detail string
}

func (e *gateError) Error() string { return fmt.Sprintf("gate %s: %s", e.title, e.detail) }

// gate asks one and records what it said.
func (r *run) gate(ctx context.Context, ask func() gates.Result, kind, name string) error {
	title := gates.Title(kind, name)
	r.progress(Event{Step: "gate " + title})
	result := ask()
	result.Kind, result.Name = kind, name
	r.tell(ctx, result)
	if interrupted(ctx, result) {
		return fmt.Errorf("gate %s: %w", title, context.Canceled)
	}
	if err := r.record(result); err != nil {
		return err
	}
	switch {
	case result.Overtaken:
		return fmt.Errorf("%w: %s", errForeign, result.Detail)
	case !result.Passed:
		return &gateError{title: title, detail: result.Detail}
	}
	return nil
}

// tell says how a gate ended.
func (r *run) tell(ctx context.Context, result gates.Result) {
	e := Event{Step: "gate " + gates.Title(result.Kind, result.Name), Outcome: outcomeOf(result), Detail: result.Detail, Duration: result.Duration}
	if interrupted(ctx, result) {
		e.Outcome, e.Detail = history.Skipped, "interrupted"
	}
	r.progress(e)
}

func (r *run) record(result gates.Result) error {
	return r.journal.Gate(history.GateResult{Kind: result.Kind, Name: result.Name, Result: outcomeOf(result), Detail: result.Detail, Duration: result.Duration})
}

func outcomeOf(result gates.Result) history.Outcome {
	switch {
	case result.Passed:
		return history.OK
	case result.Cancelled:
		return history.Cancelled
	}
	return history.NotOK
}

// deadline is the rollout's, or what the update block allows and a minute.
func deadline(ro policies.Rollout, j *api.Job) time.Duration {
	if ro.Deadline > 0 {
		return ro.Deadline
	}
	longest := 10 * time.Minute
	for _, g := range j.TaskGroups {
		if g.Update != nil && g.Update.ProgressDeadline != nil {
			longest = max(longest, *g.Update.ProgressDeadline)
		}
	}
	return longest + time.Minute
}

// step announces a deed in the journal, does it and records how it went.
func (r *run) step(name string, deed func() (string, error)) error {
	r.progress(Event{Step: name})
	if err := r.journal.Intend(name, r.index); err != nil {
		return err
	}
	start := r.Clock()
	detail, err := deed()
	outcome := history.OK
	if err != nil {
		outcome, detail = history.NotOK, err.Error()
	}
	took := r.Clock().Sub(start)
	r.progress(Event{Step: name, Outcome: outcome, Detail: detail, Duration: took})
	recorded := r.journal.Done(history.Step{Name: name, Result: outcome, Detail: detail, Index: r.index, Started: start, Duration: took})
	return errors.Join(err, recorded)
}

// note tells of something that is no step of its own.
func (r *run) note(step, detail string) {
	r.progress(Event{Step: step, Outcome: history.OK, Detail: detail})
}

func (r *run) progress(e Event) {
	if r.Progress == nil {
		return
	}
	e.Job, e.Detail = r.id, job.RedactText(e.Detail)
	r.Progress(e)
}

// anyJob is a job to take the run's deadline from.
func (r *run) anyJob() *api.Job {
	switch {
	case r.registered != nil:
		return r.registered.Job
	case r.next.Job != nil:
		return r.next.Job
	case r.prior.Job != nil:
		return r.prior.Job
	}
	return &api.Job{}
}

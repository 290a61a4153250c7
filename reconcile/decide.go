package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/history"
)

// Sync is what may be done: by the agent as configured, by a person as asked.
type Sync struct {
	Fix    bool   // fixable findings are fixed
	Drift  string // report | correct | ignore
	Create string // report | register
	Prune  string // report | stop

	Person bool // a person asked; holds that only bind the agent are named and passed
	Start  bool // a job that an operator stopped may be started
	Rerun  bool // a batch job may be registered, which runs it again
}

// Words of Sync's settings, as reconcile.hcl says them.
const (
	Report   = "report"
	Apply    = "apply"
	Correct  = "correct"
	Ignore   = "ignore"
	Create   = "register"
	StopGone = "stop"
)

// Decide turns an observation into a plan. It reads nothing but its arguments.
func Decide(o Observation, s Sync) Plan {
	p := facts(o)
	if h := firstHold(o, s, &p); h != nil {
		p.Condition, p.Reason, p.Hold = h.condition, h.hold.Reason, &h.hold
		if o.Held != nil || conflict(o) != nil {
			p.Findings = unfixable(p.Findings)
		}
		return p
	}
	decideFile(o, s, &p)
	row := firstRow(o, s)
	row.then(o, s, &p)
	p.Updates = updates(o, p)
	if h := braked(o, s, &p); h != nil {
		p = facts(o)
		p.Condition, p.Reason, p.Hold = Held, h.Reason, h
		return p
	}
	p.Condition, p.Reason = conclude(o, p)
	return p
}

// facts are what a plan shows whatever is decided.
func facts(o Observation) Plan {
	p := Plan{ID: o.ID, Basis: o.Basis}
	if o.File != nil {
		p.File = o.File.Doc.Name
		p.Findings = append(p.Findings, o.File.Findings...)
		p.Rollout = o.File.Verdict.Rollout
		if len(o.File.Ignored) > 0 {
			p.Notes = append(p.Notes, ignored(o))
		}
		if o.File.Spec != nil {
			p.Warnings = o.File.Spec.Warnings
			p.Variables = variables(o.File.Spec)
		}
	}
	if o.Live != nil {
		p.Live = &o.Live.State
		p.Findings = append(p.Findings, o.Live.Findings...)
	}
	if o.By != nil {
		p.Source, p.Rollout = registeredName(o.ID), o.Live.Verdict.Rollout
	}
	p.change = &change{}
	p.change.live = o.Live
	if o.File != nil {
		p.change.root, p.change.doc = o.File.Root, o.File.Doc
	}
	if o.File != nil && o.File.Spec != nil {
		p.change.localParse = o.File.Spec.UsesFS || o.File.Spec.JSON()
		if o.File.Desired != nil {
			p.change.fileJob, p.change.fileSource = o.File.Written, desiredSubmission(o)
		}
	}
	return p
}

func ignored(o Observation) string {
	places := make([]string, len(o.File.Ignored))
	for i, p := range o.File.Ignored {
		places[i] = p.String()
	}
	return fmt.Sprintf("rollout %q ignores what differs at %s", o.File.Verdict.Rollout.Name, strings.Join(places, ", "))
}

// updates are what the scheduler says of the job that is to be registered. After a
// stop they are others.
func updates(o Observation, p Plan) []string {
	switch {
	case !p.Will(Register), o.Live == nil, o.Live.State.Stopped, p.Rollout.Strategy == policies.Restart:
		return nil
	case p.change.register == o.Live.Fixed:
		return o.Live.FixedUpdates
	}
	return o.Live.Updates
}

// unfixable: what policies could fix, if only the job could be edited.
func unfixable(findings []Finding) []Finding {
	out := slices.Clone(findings)
	for i := range out {
		out[i].Edits, out[i].Fix = nil, false
	}
	return out
}

type heldAs struct {
	condition Condition
	hold      Hold
}

// holds are read in order; the first that applies is the job's. Those marked
// agent bind the agent alone: a person's plan names them and goes on.
var holds = []struct {
	name  string
	agent bool
	as    Condition
	when  func(Observation) *Hold
}{
	{"read", false, Held, func(o Observation) *Hold { return o.Held }},
	{"open run", false, Converging, openRun},
	{"child", false, Held, childJob},
	{"file unknown", false, Held, fileUnknown},
	{"conflict", false, Held, conflict},
	{"suspended", true, Held, suspended},
	{"failed revision", true, Held, failedRevision},
}

func firstHold(o Observation, s Sync, p *Plan) *heldAs {
	for _, h := range holds {
		hold := h.when(o)
		switch {
		case hold == nil:
		case h.agent && s.Person:
			p.Notes = append(p.Notes, hold.Reason)
		default:
			return &heldAs{h.as, *hold}
		}
	}
	return nil
}

// braked is what keeps the agent from doing what the plan says.
func braked(o Observation, s Sync, p *Plan) *Hold {
	if !p.Does() {
		return nil
	}
	for _, brake := range brakes {
		hold := brake(o, *p)
		switch {
		case hold == nil:
		case s.Person:
			p.Notes = append(p.Notes, hold.Reason)
		default:
			return hold
		}
	}
	return nil
}

func openRun(o Observation) *Hold {
	if o.Open == nil {
		return nil
	}
	return &Hold{
		Reason: fmt.Sprintf("run %s has not ended", o.Open.ID),
		Next:   "reconcile apply   (settles it first: finishes or undoes it)",
		Passes: true,
	}
}

func childJob(o Observation) *Hold {
	if o.Live == nil || o.Live.Job.ParentID == nil || *o.Live.Job.ParentID == "" {
		return nil
	}
	return &Hold{
		Reason: fmt.Sprintf("it is a child of %s", *o.Live.Job.ParentID),
		Next:   "put the policy on the parent: children are launched from it",
	}
}

const fileUnknownReason = "no file that could be read declares it, and not every file could be read"

// fileUnknown: unknown is not absent.
func fileUnknown(o Observation) *Hold {
	if o.File != nil || !o.Ours && o.By == nil || o.Complete {
		return nil
	}
	return &Hold{
		Reason: fileUnknownReason,
		Next:   "mend the files that are held first",
		Passes: true,
	}
}

func conflict(o Observation) *Hold {
	text := ""
	if o.File != nil {
		text = o.File.Verdict.Conflict
	}
	if text == "" && o.Live != nil {
		text = o.Live.Verdict.Conflict
	}
	if text == "" {
		return nil
	}
	return &Hold{Reason: text, Next: "make the policies agree, or let only one of them match this job"}
}

func failedRevision(o Observation) *Hold {
	if o.Failed == nil {
		return nil
	}
	what := "file"
	if o.By != nil {
		what = "job"
	}
	return &Hold{
		Reason: fmt.Sprintf("this revision failed already in run %s: %s", o.Failed.ID, o.Failed.Reason),
		Next:   fmt.Sprintf("change the %s or the policies, or try it once more: reconcile apply %s", what, o.ID),
	}
}

// decideFile: every fixable finding of the file is edited, whatever becomes of
// the live side.
func decideFile(o Observation, s Sync, p *Plan) {
	if o.File == nil || !o.File.Edited() {
		return
	}
	p.FileDiff = unified(o.File.Doc.Name, o.File.Doc.Bytes, o.File.After)
	if !s.Fix {
		p.Left = append(p.Left, leftFix(o))
		return
	}
	p.Actions = append(p.Actions, EditFile)
	p.change.after = o.File.After
}

func leftFix(o Observation) string {
	return fmt.Sprintf("sync.fix is \"report\": reconcile apply %s", o.ID)
}

// liveRow is one row of what is decided about the live side; the first whose
// when holds is the job's.
type liveRow struct {
	name string
	when func(Observation, Sync) bool
	then func(Observation, Sync, *Plan)
}

var liveRows = []liveRow{
	{"nowhere", func(o Observation, _ Sync) bool { return o.File == nil && o.Live == nil }, nothing},
	{"file removed", func(o Observation, _ Sync) bool { return o.File == nil && o.By == nil }, orphan},
	{"absent", func(o Observation, _ Sync) bool { return o.Live == nil }, absent},
	{"stopped by an operator", func(o Observation, _ Sync) bool { return o.Live.State.Stopped }, stopped},
	{"equal", func(o Observation, _ Sync) bool { return !o.Live.Differs && o.Live.Redundant }, nothing},
	{"finished batch", func(o Observation, s Sync) bool { return runsOnce(o.Live.Job) && !s.Rerun }, batch},
	{"fixes, no file", func(o Observation, _ Sync) bool { return o.File == nil }, registerAlone},
	{"only fixes differ", func(o Observation, _ Sync) bool { return !o.Live.Redundant && o.Live.OnlyFixes }, registerDesired},
	{"fixes and more differ", func(o Observation, _ Sync) bool { return !o.Live.Redundant }, registerFixed},
	{"drift", func(Observation, Sync) bool { return true }, drift},
}

func firstRow(o Observation, s Sync) liveRow {
	i := slices.IndexFunc(liveRows, func(r liveRow) bool { return r.when(o, s) })
	return liveRows[i]
}

func nothing(Observation, Sync, *Plan) {}

func orphan(o Observation, s Sync, p *Plan) {
	if o.Live.State.Stopped || !o.Ours {
		return
	}
	switch {
	case s.Prune != StopGone:
		p.Left = append(p.Left, fmt.Sprintf("its file is gone; sync.prune is \"report\": nomad job stop %s", o.ID.Name))
	case !o.Grace:
		p.Left = append(p.Left, "its file is gone; it will be stopped if it stays away for another pass")
	default:
		p.Actions = append(p.Actions, Stop)
	}
}

func absent(o Observation, s Sync, p *Plan) {
	switch {
	case ratchet(o):
		p.Left = append(p.Left, leftDenied)
	case s.Create != Create:
		p.Left = append(p.Left, fmt.Sprintf("Nomad does not know it; sync.create is \"report\": reconcile apply %s", o.ID))
	case runsOnce(o.File.Desired) && !s.Rerun:
		p.Left = append(p.Left, fmt.Sprintf("a batch job runs when it is registered: reconcile apply -rerun %s", o.ID))
	default:
		register(p, o.Live, o.File.Desired, desiredSubmission(o))
	}
}

const leftDenied = "the file has findings that forbid and cannot be fixed: nothing is registered from it"

func stopped(o Observation, s Sync, p *Plan) {
	if !s.Start && o.File == nil && o.Live.Redundant {
		return
	}
	if pruned(o) && s.Create == Create && o.File != nil { // its file is back, and nobody else has stopped it
		s.Start = true
	}
	if !s.Start {
		p.Left = append(p.Left, fmt.Sprintf("%s: reconcile apply -start %s", whoStopped(o), o.ID))
		return
	}
	if ratchet(o) {
		p.Left = append(p.Left, leftDenied)
		return
	}
	showDiff(o, p, false)
	if o.File == nil {
		register(p, o.Live, started(o.Live.Fixed), o.Live.Submitted)
		return
	}
	register(p, o.Live, o.File.Desired, desiredSubmission(o))
}

// pruned: it was we who stopped the job, when its file was gone, and nobody has touched
// it since.
func pruned(o Observation) bool {
	if len(o.Past) == 0 || o.Past[0].Result != history.Converged || !slices.Contains(o.Past[0].Actions, string(Stop)) {
		return false
	}
	step, _ := o.Past[0].Step("stop")
	return o.Past[0].Of == "" && step.Index != 0 && step.Index == o.Basis.JobModifyIndex
}

func whoStopped(o Observation) string {
	if pruned(o) {
		return "it was stopped when its file was gone"
	}
	return "an operator stopped it"
}

func started(j *api.Job) *api.Job {
	out := *j
	out.Stop = new(false)
	return &out
}

func batch(o Observation, _ Sync, p *Plan) {
	showDiff(o, p, true)
	p.Left = append(p.Left, fmt.Sprintf("registering a batch job runs it again: reconcile apply -rerun %s", o.ID))
}

func registerDesired(o Observation, s Sync, p *Plan) {
	showDiff(o, p, !s.Fix)
	if !s.Fix {
		left(p, leftFix(o))
		return
	}
	register(p, o.Live, o.File.Desired, desiredSubmission(o))
}

// registerAlone: without a file there is nothing that the live job could differ from
// but its own fixes.
func registerAlone(o Observation, s Sync, p *Plan) {
	showDiff(o, p, !s.Fix)
	if !s.Fix {
		left(p, leftFix(o))
		return
	}
	register(p, o.Live, o.Live.Fixed, o.Live.Submitted)
}

func registerFixed(o Observation, s Sync, p *Plan) {
	if s.Drift == Correct && s.Fix && !ratchet(o) {
		showDiff(o, p, false)
		register(p, o.Live, o.File.Desired, desiredSubmission(o))
		return
	}
	showDiff(o, p, !s.Fix)
	if !s.Fix {
		left(p, leftFix(o))
		return
	}
	register(p, o.Live, o.Live.Fixed, o.Live.Submitted)
	leaveDrift(o, s, p)
}

func drift(o Observation, s Sync, p *Plan) {
	if s.Drift == Ignore {
		return
	}
	correct := s.Drift == Correct && !ratchet(o)
	showDiff(o, p, !correct)
	if correct {
		register(p, o.Live, o.File.Desired, desiredSubmission(o))
		return
	}
	leaveDrift(o, s, p)
}

func leaveDrift(o Observation, s Sync, p *Plan) {
	if s.Drift == Ignore {
		p.LiveDiff = slices.DeleteFunc(p.LiveDiff, func(c Change) bool { return !c.Finding })
		return
	}
	if !slices.ContainsFunc(p.LiveDiff, func(c Change) bool { return !c.Finding }) {
		return
	}
	for i := range p.LiveDiff {
		p.LiveDiff[i].Stays = p.LiveDiff[i].Stays || !p.LiveDiff[i].Finding
	}
	if s.Drift == Correct {
		left(p, leftDenied)
		return
	}
	left(p, fmt.Sprintf("drift stays as it is: reconcile apply -correct-drift %s", o.ID))
}

func left(p *Plan, text string) {
	if !slices.Contains(p.Left, text) {
		p.Left = append(p.Left, text)
	}
}

// ratchet: what the policies forbid is not registered, unless the live job has
// the very same finding already; then nothing gets worse.
func ratchet(o Observation) bool {
	if o.File == nil {
		return false
	}
	for _, f := range o.File.Findings {
		if f.Denied() && (o.Live == nil || !has(o.Live.Findings, f)) {
			return true
		}
	}
	return false
}

func has(findings []Finding, f Finding) bool {
	return slices.ContainsFunc(findings, func(g Finding) bool {
		return g.Policy == f.Policy && g.Rule == f.Rule && g.Path.Equal(f.Path) && g.Message == f.Message
	})
}

func showDiff(o Observation, p *Plan, stays bool) {
	p.LiveDiff = slices.Clone(o.Live.Diff)
	for i := range p.LiveDiff {
		p.LiveDiff[i].Stays = stays
	}
}

func register(p *Plan, live *Live, j *api.Job, sub *api.JobSubmission) {
	p.Actions = append(p.Actions, Register)
	p.change.register, p.change.submission = j, sub
	p.change.admitted = live != nil && slices.Contains(live.admitted, j)
}

func desiredSubmission(o Observation) *api.JobSubmission {
	if o.File.Spec.Submission == nil {
		return nil
	}
	sub := *o.File.Spec.Submission
	sub.Source = string(o.File.After)
	return &sub
}

// runsOnce: registering it means running it.
func runsOnce(j *api.Job) bool {
	if j.Type == nil || (*j.Type != api.JobTypeBatch && *j.Type != api.JobTypeSysbatch) {
		return false
	}
	return j.Periodic == nil && j.ParameterizedJob == nil
}

// conclude gives the one condition and its reason.
func conclude(o Observation, p Plan) (Condition, string) {
	switch {
	case slices.ContainsFunc(p.Findings, func(f Finding) bool { return f.Denied() }):
		return Denied, deniedReason(p.Findings)
	case o.File == nil && o.By == nil && o.Live != nil && o.Ours && !o.Live.State.Stopped:
		return Orphan, "its job file is gone"
	case o.Live == nil:
		return OutOfSync, "Nomad does not know it"
	case len(p.Actions) > 0, len(p.LiveDiff) > 0, p.FileDiff != "":
		return OutOfSync, outReason(p)
	case o.Live.State.Stopped:
		if pruned(o) {
			return InSync, "stopped when its file was gone"
		}
		return InSync, "stopped by an operator"
	case o.Live.State.Waits != "":
		return Converging, o.Live.State.Waits
	case o.Broken != nil && o.Live.State.Why != "":
		return Failed, fmt.Sprintf("run %s failed, and still %s", o.Broken.ID, o.Live.State.Why)
	case o.Live.State.Why != "":
		return Degraded, o.Live.State.Why
	}
	return InSync, ""
}

func deniedReason(findings []Finding) string {
	var rules []string
	for _, f := range findings {
		if name := f.Policy + " " + f.Rule; f.Denied() && !slices.Contains(rules, name) {
			rules = append(rules, name)
		}
	}
	return "forbidden by " + strings.Join(rules, ", ")
}

func outReason(p Plan) string {
	file, live, drift := 0, 0, 0
	for _, f := range p.Findings {
		switch {
		case !f.Fixable():
		case f.Side == policies.FileSide:
			file++
		default:
			live++
		}
	}
	for _, c := range p.LiveDiff {
		if !c.Finding {
			drift++
		}
	}
	var parts []string
	if file > 0 {
		parts = append(parts, fmt.Sprintf("%d to fix in the file", file))
	}
	if live > 0 {
		parts = append(parts, fmt.Sprintf("%d to fix in the live job", live))
	}
	if drift > 0 {
		parts = append(parts, fmt.Sprintf("%d differ between file and live job", drift))
	}
	if len(parts) == 0 {
		return "file and live job differ"
	}
	return strings.Join(parts, ", ")
}

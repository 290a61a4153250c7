package report

import (
	"encoding/json"
	"io"
	"time"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// FormatVersion is that of every JSON document here. Its second number grows
// when something is added, its first when something changes its meaning.
const FormatVersion = "1.0"

type plansDoc struct {
	FormatVersion string    `json:"format_version"`
	Jobs          []any     `json:"jobs"`
	Skipped       []skipped `json:"skipped"`
	Exceptions    []due     `json:"exceptions"`
	Summary       summary   `json:"summary"`
}

// skipped is a file that holds no job.
type skipped struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

func skippedOf(in []reconcile.Skipped) []skipped {
	out := make([]skipped, len(in))
	for i, s := range in {
		out[i] = skipped{s.File, s.Reason}
	}
	return out
}

// summary counts the jobs by their condition, and the findings that are excepted.
type summary struct {
	byCondition
	Excepted int `json:"excepted"` // findings, not jobs
}

// byCondition counts jobs by their condition. All conditions are always there.
type byCondition struct {
	InSync     int `json:"in_sync"`
	OutOfSync  int `json:"out_of_sync"`
	Denied     int `json:"denied"`
	Held       int `json:"held"`
	Degraded   int `json:"degraded"`
	Failed     int `json:"failed"`
	Converging int `json:"converging"`
	Orphan     int `json:"orphan"`
}

func (n *byCondition) add(c reconcile.Condition) {
	switch c {
	case reconcile.InSync:
		n.InSync++
	case reconcile.OutOfSync:
		n.OutOfSync++
	case reconcile.Denied:
		n.Denied++
	case reconcile.Held:
		n.Held++
	case reconcile.Degraded:
		n.Degraded++
	case reconcile.Failed:
		n.Failed++
	case reconcile.Converging:
		n.Converging++
	case reconcile.Orphan:
		n.Orphan++
	}
}

type checkedJob struct {
	Namespace string             `json:"namespace"`
	ID        string             `json:"id"`
	File      string             `json:"file"`
	Condition string             `json:"condition"`
	Actions   []reconcile.Action `json:"actions"`
	Findings  []finding          `json:"findings"`
	FileDiff  string             `json:"file_diff"`
	Hold      *hold              `json:"hold"`
}

type plannedJob struct {
	Namespace string             `json:"namespace"`
	ID        string             `json:"id"`
	File      string             `json:"file"`
	Source    string             `json:"source,omitempty"` // of a job without a file
	Condition string             `json:"condition"`
	Reason    string             `json:"reason"`
	Actions   []reconcile.Action `json:"actions"`
	Strategy  string             `json:"strategy"`
	Findings  []finding          `json:"findings"`
	FileDiff  string             `json:"file_diff"`
	LiveDiff  []change           `json:"live_diff"`
	Updates   []string           `json:"updates"` // what Nomad's scheduler would do at once, by group
	Gates     []string           `json:"gates"`
	Notes     []string           `json:"notes"` // what a reader should know
	Left      []string           `json:"left"`  // what stays undone and what to type for it
	Hold      *hold              `json:"hold"`
}

// finding: line and column are 0 on the live side.
type finding struct {
	Policy    string  `json:"policy"`
	Rule      string  `json:"rule"`
	Enforce   string  `json:"enforce"`
	Side      string  `json:"side"`
	Path      string  `json:"path"`
	Message   string  `json:"message"`
	File      string  `json:"file"`
	Line      int     `json:"line"`
	Column    int     `json:"column"`
	Fixable   bool    `json:"fixable"`
	Exception *waiver `json:"exception"`
}

// change: before and after are values of their own type, null where not set.
type change struct {
	Path    string `json:"path"`
	Before  any    `json:"before"`
	After   any    `json:"after"`
	Finding bool   `json:"finding"`
}

type hold struct {
	Reason string `json:"reason"`
	Next   string `json:"next"`
}

// PlansJSON writes the plans as one JSON object: DESIGN's `plan -json`, the files
// that were passed over, and the exceptions that end. Lists are never null. `gates`
// are those that the actions would lead to, in their order; `summary` counts every
// condition, those that no job has at 0.
func PlansJSON(w io.Writer, plans []reconcile.Plan, passedOver []reconcile.Skipped, ending []Due) error {
	doc := plansDoc{FormatVersion: FormatVersion, Jobs: []any{}, Skipped: skippedOf(passedOver), Exceptions: duesOf(ending)}
	for _, p := range plans {
		doc.Summary.add(p.Condition)
		doc.Summary.Excepted += countOf(p.Findings, isExcepted)
		doc.Jobs = append(doc.Jobs, plannedOf(p))
	}
	return encode(w, doc)
}

func plannedOf(p reconcile.Plan) plannedJob {
	return plannedJob{
		Namespace: namespace(p.ID), ID: p.ID.Name, File: p.File, Source: p.Source, Condition: string(p.Condition),
		Reason: redactProse(p.Reason), Actions: orEmpty(p.Actions), Strategy: string(p.Rollout.Strategy),
		Findings: findings(p.Findings), FileDiff: redactDiff(p.FileDiff), LiveDiff: changes(p.LiveDiff),
		Updates: orEmpty(p.Updates), Gates: gateTitles(p), Notes: redactAll(p.Notes), Left: redactAll(p.Left), Hold: holdOf(p.Hold),
	}
}

// ChecksJSON writes what one side alone says, in the shape of PlansJSON without
// strategy, live_diff and gates.
func ChecksJSON(w io.Writer, c Check) error {
	doc := plansDoc{FormatVersion: FormatVersion, Jobs: []any{}, Skipped: skippedOf(c.Skipped), Exceptions: duesOf(c.Exceptions)}
	for _, p := range c.Plans {
		one := checkOf(p, c.Side)
		doc.Summary.add(one.condition)
		doc.Summary.Excepted += len(one.excepted)
		doc.Jobs = append(doc.Jobs, checkedJob{
			Namespace: namespace(p.ID), ID: p.ID.Name, File: p.File, Condition: string(one.condition),
			Actions: one.actions(), Findings: findings(one.all(c.Side)), FileDiff: redactDiff(p.FileDiff), Hold: holdOf(p.Hold),
		})
	}
	return encode(w, doc)
}

func findings(in []reconcile.Finding) []finding {
	out := make([]finding, len(in))
	for i, f := range in {
		out[i] = finding{
			Policy: f.Policy, Rule: f.Rule, Enforce: string(f.Enforce), Side: string(f.Side),
			Path: f.Path.String(), Message: redactProse(f.Message), File: f.File,
			Line: f.Range.Start.Line, Column: f.Range.Start.Column, Fixable: f.Fixable(),
			Exception: waiverOf(f.Exception),
		}
	}
	return out
}

func changes(in []reconcile.Change) []change {
	out := make([]change, len(in))
	for i, c := range in {
		out[i] = change{Path: c.Path.String(), Before: plain(c.Path, c.Before), After: plain(c.Path, c.After), Finding: c.Finding}
	}
	return out
}

// gateTitles are the gates in the order in which they are asked.
func gateTitles(p reconcile.Plan) []string {
	out := []string{}
	if !p.Will(reconcile.Register) {
		return out
	}
	before, after := gatesOf(p)
	for _, g := range before {
		out = append(out, gates.Title(g.Kind, g.Name))
	}
	out = append(out, "deployment")
	for _, g := range after {
		out = append(out, gates.Title(g.Kind, g.Name))
	}
	return out
}

func gatesOf(p reconcile.Plan) (before, after []policies.Gate) {
	for _, g := range p.Rollout.Gates {
		if g.Before {
			before = append(before, g)
		} else {
			after = append(after, g)
		}
	}
	return before, after
}

func holdOf(h *reconcile.Hold) *hold {
	if h == nil {
		return nil
	}
	return &hold{Reason: redactProse(h.Reason), Next: redactProse(h.Next)}
}

func namespace(id job.ID) string {
	if id.Namespace == "" {
		return job.DefaultNamespace
	}
	return id.Namespace
}

func redactAll(texts []string) []string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = redactProse(text)
	}
	return out
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type runDoc struct {
	ID            string    `json:"id"`
	Namespace     string    `json:"namespace"`
	Job           string    `json:"job"`
	Result        string    `json:"result"` // empty while the run is open
	Reason        string    `json:"reason"`
	Backup        string    `json:"backup"` // empty where the file was not touched
	VersionBefore uint64    `json:"version_before"`
	VersionAfter  uint64    `json:"version_after"`
	Steps         []stepDoc `json:"steps"`
	Gates         []gateDoc `json:"gates"`
}

// pastRun is a run with what only the history is asked for.
type pastRun struct {
	runDoc
	Kind    string     `json:"kind"`
	Of      string     `json:"of"` // the run that a rollback undid
	File    string     `json:"file"`
	Source  string     `json:"source,omitempty"` // of a job without a file
	Open    bool       `json:"open"`
	Started time.Time  `json:"started"`
	Ended   *time.Time `json:"ended"`

	By        string   `json:"by"`       // who typed it; empty where that is not known
	Actions   []string `json:"actions"`  // what it set out to do
	Policies  string   `json:"policies"` // their revision
	Strategy  string   `json:"strategy"`
	OnFailure string   `json:"on_failure"`
}

type stepDoc struct {
	Name       string `json:"name"`
	Result     string `json:"result"`
	DurationMS int64  `json:"duration_ms"`
	Detail     string `json:"detail"`
}

type gateDoc struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Result string `json:"result"`
	Detail string `json:"detail"`
}

type runsDoc struct {
	FormatVersion string `json:"format_version"`
	Runs          []any  `json:"runs"`
}

// RunsJSON writes the runs as one JSON object: DESIGN's `apply -json`.
func RunsJSON(w io.Writer, runs []history.Run) error {
	doc := runsDoc{FormatVersion: FormatVersion, Runs: []any{}}
	for _, r := range runs {
		doc.Runs = append(doc.Runs, runOf(r))
	}
	return encode(w, doc)
}

// HistoryJSON writes past runs: each as RunsJSON does, then what pastRun adds;
// started and ended are in UTC, ended is null while a run is open.
func HistoryJSON(w io.Writer, runs []history.Run) error {
	doc := runsDoc{FormatVersion: FormatVersion, Runs: []any{}}
	for _, r := range runs {
		doc.Runs = append(doc.Runs, pastOf(r))
	}
	return encode(w, doc)
}

func pastOf(r history.Run) pastRun {
	past := pastRun{
		runDoc: runOf(r), Kind: r.Kind, Of: r.Of, File: r.File, Source: r.Source, Open: r.Open, Started: r.Started.UTC(),
		By: r.By, Actions: orEmpty(r.Actions), Policies: r.Basis.Policies, Strategy: r.Strategy, OnFailure: r.OnFailure,
	}
	if !r.Ended.IsZero() {
		past.Ended = new(r.Ended.UTC())
	}
	return past
}

func runOf(r history.Run) runDoc {
	out := runDoc{
		ID: r.ID, Namespace: namespace(r.Job), Job: r.Job.Name, Result: string(r.Result), Reason: redactProse(r.Reason, r.Job.String(), r.Job.Name),
		Backup: r.Backup, VersionBefore: r.VersionBefore, VersionAfter: r.VersionAfter,
		Steps: []stepDoc{}, Gates: []gateDoc{},
	}
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, stepDoc{s.Name, string(s.Result), s.Duration.Milliseconds(), redactProse(s.Detail)})
	}
	for _, g := range r.Gates {
		out.Gates = append(out.Gates, gateDoc{g.Kind, g.Name, string(g.Result), redactProse(g.Detail)})
	}
	return out
}

func encode(w io.Writer, doc any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(doc)
}

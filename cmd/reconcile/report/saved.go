package report

import (
	"io"
	"slices"
	"strings"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// Stale writes how a saved plan no longer fits: for each job which part moved, and
// what differs in it.
func Stale(w io.Writer, s reconcile.Stale, style Style) {
	p := &page{Style: style}
	if s.Nomad != "" {
		p.para(0, "✗ ", red, "Nomad: planned with another one, now it is "+s.Nomad)
	}
	for _, j := range s.Jobs {
		p.blank()
		p.stale(j)
	}
	if movedIn(s.Jobs, reconcile.MovedPolicies) {
		p.policiesMoved(s.Policies)
	}
	p.flush(w)
}

var staleLook = look{"✗", red, "moved"}

func (p *page) stale(j reconcile.StaleJob) {
	p.names = []string{j.ID.String(), j.ID.Name}
	p.title(staleLook, j.ID.String(), j.Reason)
	p.fileDiff(j.FileDiff)
	p.variablesMoved(j.Variables)
	if len(j.LiveDiff) == 0 {
		return
	}
	if slices.Contains(j.Moved, reconcile.MovedLive) {
		p.section("Live job:")
	} else {
		p.section("To be registered:")
	}
	for _, d := range j.LiveDiff {
		p.difference(d.Path.String(), plain(d.Path, d.Before), plain(d.Path, d.After), "")
	}
}

func (p *page) variablesMoved(vars []reconcile.VariableMoved) {
	if len(vars) == 0 {
		return
	}
	p.section("Variables:")
	for _, v := range vars {
		before, after := valueMoved(v)
		p.line(4, p.fitted("~ "+printable(v.Name)+": "+inline(before)+" -> "+inline(after), "", 4))
	}
}

func valueMoved(v reconcile.VariableMoved) (before, after any) {
	at := job.Path{}.Attr(v.Name)
	return redactValue(at, v.Before), redactValue(at, v.After)
}

func (p *page) policiesMoved(files []string) {
	p.blank()
	p.line(0, p.paint(bold, "Policies:"))
	if len(files) == 0 {
		p.para(2, "~ ", yellow, "what is given to their variables in the configuration")
	}
	for _, f := range files {
		mark, name, _ := strings.Cut(f, " ")
		p.line(2, p.paint(diffColor(mark), mark)+" "+printable(name))
	}
}

func movedIn(jobs []reconcile.StaleJob, part reconcile.Part) bool {
	return slices.ContainsFunc(jobs, func(j reconcile.StaleJob) bool { return slices.Contains(j.Moved, part) })
}

type staleDoc struct {
	FormatVersion string    `json:"format_version"`
	Runs          []any     `json:"runs"`
	Stale         staleness `json:"stale"`
}

type staleness struct {
	Nomad    string     `json:"nomad"`
	Policies []string   `json:"policies"`
	Jobs     []staleJob `json:"jobs"`
}

type staleJob struct {
	Namespace string             `json:"namespace"`
	ID        string             `json:"id"`
	Moved     []reconcile.Part   `json:"moved"`
	Reason    string             `json:"reason"`
	FileDiff  string             `json:"file_diff"`
	Variables []movedVariable    `json:"variables"`
	LiveDiff  []moved            `json:"live_diff"`
	Planned   []reconcile.Action `json:"planned"`
	Now       []reconcile.Action `json:"now"`
}

type movedVariable struct {
	Name   string `json:"name"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

type moved struct {
	Path   string `json:"path"`
	Before any    `json:"before"`
	After  any    `json:"after"`
}

// StaleJSON writes the same as one JSON object, with the runs that were settled
// before: RunsJSON's with `stale` beside `runs`.
func StaleJSON(w io.Writer, s reconcile.Stale, settled []history.Run) error {
	doc := staleDoc{FormatVersion: FormatVersion, Runs: []any{}, Stale: staleness{Nomad: redactProse(s.Nomad), Policies: orEmpty(s.Policies), Jobs: []staleJob{}}}
	for _, r := range settled {
		doc.Runs = append(doc.Runs, runOf(r))
	}
	for _, j := range s.Jobs {
		one := staleJob{
			Namespace: namespace(j.ID), ID: j.ID.Name, Moved: j.Moved, Reason: redactProse(j.Reason, j.ID.String(), j.ID.Name), FileDiff: redactDiff(j.FileDiff),
			Variables: []movedVariable{}, LiveDiff: []moved{}, Planned: orEmpty(j.Planned), Now: orEmpty(j.Now),
		}
		for _, v := range j.Variables {
			before, after := valueMoved(v)
			one.Variables = append(one.Variables, movedVariable{v.Name, before, after})
		}
		for _, d := range j.LiveDiff {
			one.LiveDiff = append(one.LiveDiff, moved{d.Path.String(), plain(d.Path, d.Before), plain(d.Path, d.After)})
		}
		doc.Stale.Jobs = append(doc.Stale.Jobs, one)
	}
	return encode(w, doc)
}

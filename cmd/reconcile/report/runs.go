package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"nomad-reconcile/state/history"
)

var results = map[history.Result]look{
	history.Converged:  {"✓", green, "converged"},
	history.Unchanged:  {"✓", green, "unchanged"},
	history.Held:       {"!", yellow, "held"},
	history.Denied:     {"✗", red, "denied"},
	history.RolledBack: {"✗", yellow, "rolled back"},
	history.Failed:     {"✗", red, "failed"},
}

// openRun is a run that has no result yet.
var openRun = look{"!", yellow, "open"}

func lookOf(r history.Run) look {
	if l, ok := results[r.Result]; ok {
		return l
	}
	return openRun
}

// Runs writes how each run ended and why, what is left of it (backup, versions,
// gates), what to type next, and a summary.
func Runs(w io.Writer, runs []history.Run, s Style) {
	p := &page{Style: s}
	unchanged := 0
	for _, r := range runs {
		if r.Result == history.Unchanged {
			unchanged++
		}
	}
	for _, r := range runs {
		if r.Result == history.Unchanged && unchanged > quietMost {
			continue
		}
		if r.ID != "" {
			p.blank()
		}
		p.run(r)
		if r.ID != "" {
			p.blank()
		}
	}
	p.blank()
	p.total(runsSummary(runs))
	p.flush(w)
}

func (p *page) run(r history.Run) {
	p.names = []string{r.Job.String(), r.Job.Name}
	p.title(lookOf(r), r.Job.String(), r.Reason)
	if r.ID == "" {
		return
	}
	p.fact("run", runText(r))
	if r.Source != "" {
		p.fact("source", r.Source)
	}
	if r.Backup != "" {
		p.fact("file", r.File)
		p.fact("backup", r.Backup)
	}
	if r.Result != "" && r.VersionAfter != r.VersionBefore { // of an open run nobody has recorded it yet
		p.fact("version", fmt.Sprintf("%d -> %d", r.VersionBefore, r.VersionAfter))
	}
	for _, g := range r.Gates {
		p.gate(g)
	}
	if next := nextOf(r); next != "" {
		p.para(4, "next     ", cyan, next)
	}
}

func (p *page) fact(name, text string) {
	p.para(4, fmt.Sprintf("%-9s", name), dim, text)
}

func runText(r history.Run) string {
	text := r.ID
	if r.Of != "" {
		text += ", back to before run " + r.Of
	}
	if !r.Ended.IsZero() {
		text += ", took " + shortly(r.Ended.Sub(r.Started))
	}
	return text
}

func (p *page) gate(g history.GateResult) {
	text := strings.TrimSpace(g.Kind + " " + g.Name)
	if g.Detail != "" {
		text += ": " + g.Detail
	}
	sign, color := signOf(g.Result)
	p.para(4, "gate   "+sign+" ", color, text)
}

// nextOf is what to type after a run of that result.
func nextOf(r history.Run) string {
	switch r.Result {
	case history.Converged:
		if r.Kind == "rollback" {
			return ""
		}
		return fmt.Sprintf("reconcile rollback %s   (undoes it)", r.ID)
	case history.Held:
		return fmt.Sprintf("do what it waits for, or: reconcile rollback %s   (undoes it)", r.ID)
	case history.RolledBack:
		what := "that" // a full disk, a refusal: the reason tells
		if r.FailedGate() {
			what = "what the gate saw"
		}
		return fmt.Sprintf("mend %s, then: reconcile apply %s", what, r.Job)
	case history.Failed:
		return fmt.Sprintf("look with: nomad job status %s; undo with: reconcile rollback %s", r.Job.Name, r.ID)
	case "":
		return fmt.Sprintf("reconcile apply   (goes on with it), or: reconcile rollback %s   (undoes it)", r.ID)
	}
	return ""
}

func runsSummary(runs []history.Run) string {
	if len(runs) == 0 {
		return "Nothing to do."
	}
	var parts []string
	for _, r := range []history.Result{history.Converged, history.RolledBack, history.Failed, "", history.Denied, history.Held, history.Unchanged} {
		n := 0
		for _, run := range runs {
			if run.Result == r {
				n++
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, lookOf(history.Run{Result: r}).words))
		}
	}
	return "Done: " + strings.Join(parts, ", ") + "."
}

// History writes past runs as a table, in the order given.
func History(w io.Writer, runs []history.Run, now time.Time, s Style) {
	p := &page{Style: s}
	if len(runs) == 0 {
		p.line(0, "No runs yet. `reconcile plan` shows what would be done, `reconcile apply` does it.")
		p.flush(w)
		return
	}
	rows := [][]string{{"ID", "JOB", "KIND", "RESULT", "WHEN", "REASON"}}
	for _, r := range runs {
		rows = append(rows, []string{r.ID, printable(r.Job.String()), r.Kind, lookOf(r).words, ago(now.Sub(r.Started)), clean(r.Reason, r.Job.String(), r.Job.Name)})
	}
	widths := widthsOf(rows)
	for i, row := range rows {
		color := bold
		if i > 0 {
			color = lookOf(runs[i-1]).color
		}
		p.row(row, widths, i == 0, color)
	}
	p.flush(w)
}

func widthsOf(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], cells(cell))
		}
	}
	return widths
}

// row writes one line; color is that of a heading, or of the result's cell.
func (p *page) row(row []string, widths []int, heading bool, color string) {
	var b strings.Builder
	used := 0
	for i, cell := range row {
		last := i == len(row)-1
		if last {
			if room := p.room(0); room > 0 {
				cell = clip(cell, max(room-used, len("REASON")))
			}
		}
		pad := widths[i] - cells(cell) + 2
		used += cells(cell) + pad
		if heading || i == 3 {
			cell = p.paint(color, cell)
		}
		b.WriteString(cell)
		if !last {
			b.WriteString(strings.Repeat(" ", pad))
		}
	}
	p.line(0, strings.TrimRight(b.String(), " "))
}

// ago is how long something is past, in one unit.
func ago(d time.Duration) string {
	units := []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}}
	for _, u := range units {
		if d >= u.of {
			return fmt.Sprintf("%d%s ago", d/u.of, u.name)
		}
	}
	return "just now"
}

// shortly is a duration with no more digits than one wants to read.
func shortly(d time.Duration) string {
	unit := time.Second
	switch {
	case d < time.Second:
		unit = time.Millisecond
	case d < 10*time.Second:
		unit = 100 * time.Millisecond
	}
	text := d.Round(unit).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return cmp.Or(text, "0s")
}

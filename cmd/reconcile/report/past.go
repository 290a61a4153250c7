package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// Past is one run with what it set out to change.
type Past struct {
	Run      history.Run
	New      bool // the job was not registered before
	FileDiff string
	LiveDiff []history.Change
}

// PastRun writes all that is known of one run.
func PastRun(w io.Writer, past Past, now time.Time, s Style) {
	p := &page{Style: s}
	r := past.Run
	p.names = []string{r.Job.String(), r.Job.Name}
	p.title(lookOf(r), r.Job.String(), r.Reason)
	p.blank()
	p.facts(r, now)
	p.pastSteps(r)
	p.pastGates(r)
	p.fileDiff(past.FileDiff)
	p.pastLive(past)
	if next := nextOf(r); next != "" {
		p.blank()
		p.para(2, "next: ", cyan, next)
	}
	p.flush(w)
}

func (p *page) facts(r history.Run, now time.Time) {
	fact := func(name, text string) {
		if text != "" {
			p.para(2, fmt.Sprintf("%-10s", name), dim, text)
		}
	}
	fact("run", runText(r))
	fact("began", fmt.Sprintf("%s, %s", r.Started.UTC().Format("2006-01-02 15:04:05 UTC"), ago(now.Sub(r.Started))))
	fact("asked by", asked(r))
	fact("did", strings.Join(r.Actions, ", "))
	fact("rollout", rolloutOf(r))
	fact("policies", r.Basis.Policies)
	fact("file", r.File)
	fact("backup", r.Backup)
	if r.Result != "" && r.VersionAfter != r.VersionBefore {
		fact("version", fmt.Sprintf("%d -> %d", r.VersionBefore, r.VersionAfter))
	}
}

// asked is the verb, and who typed it.
func asked(r history.Run) string {
	if r.By == "" {
		return r.Kind
	}
	return r.By + ", with " + r.Kind
}

func rolloutOf(r history.Run) string {
	if r.Strategy == "" || r.OnFailure == "" {
		return r.Strategy
	}
	return r.Strategy + "; on failure " + r.OnFailure
}

// signOf is how an outcome is shown.
func signOf(o history.Outcome) (sign, color string) {
	switch o {
	case history.NotOK:
		return "✗", red
	case history.Skipped, history.Cancelled:
		return "-", dim
	}
	return "✓", green
}

func (p *page) pastSteps(r history.Run) {
	var rows []outcomeRow
	for _, s := range r.Steps {
		rows = append(rows, outcomeRow{s.Result, s.Name, s.Duration, s.Detail})
	}
	for _, i := range r.Intents {
		if !i.Done {
			rows = append(rows, outcomeRow{history.Skipped, i.Step, 0, "begun, and not known to have ended"})
		}
	}
	p.outcomes("Steps:", rows)
}

func (p *page) pastGates(r history.Run) {
	var rows []outcomeRow
	for _, g := range r.Gates {
		rows = append(rows, outcomeRow{g.Result, strings.TrimSpace(g.Kind + " " + g.Name), g.Duration, g.Detail})
	}
	p.outcomes("Gates:", rows)
}

// outcomeRow is a step or a gate.
type outcomeRow struct {
	result history.Outcome
	name   string
	took   time.Duration
	detail string
}

func (p *page) outcomes(title string, rows []outcomeRow) {
	if len(rows) == 0 {
		return
	}
	p.section(title)
	for _, row := range rows {
		sign, color := signOf(row.result)
		text := row.name
		if row.took > 0 {
			text += ", took " + shortly(row.took)
		}
		if row.detail != "" {
			text += ": " + row.detail
		}
		p.para(4, sign+" ", color, text)
	}
}

func (p *page) pastLive(past Past) {
	switch {
	case past.New:
		p.section("Live job:")
		p.line(4, "It was not registered before.")
	case len(past.LiveDiff) > 0:
		p.section("Live job:")
		for _, c := range past.LiveDiff {
			p.difference(c.Path, fromJSON(c.Before), fromJSON(c.After), kind(reconcile.Change{Finding: c.Finding}))
		}
	}
}

// fromJSON is a value as it was recorded; numbers keep their digits.
func fromJSON(data json.RawMessage) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// pastRunDoc is a run of the history, with what it changed.
type pastRunDoc struct {
	FormatVersion string `json:"format_version"`
	Run           struct {
		pastRun
		FileDiff string           `json:"file_diff"`
		LiveDiff []history.Change `json:"live_diff"`
	} `json:"run"`
}

// PastJSON writes one run as HistoryJSON does, and then file_diff and live_diff.
func PastJSON(w io.Writer, past Past) error {
	doc := pastRunDoc{FormatVersion: FormatVersion}
	doc.Run.pastRun, doc.Run.FileDiff, doc.Run.LiveDiff = pastOf(past.Run), redactDiff(past.FileDiff), orEmpty(past.LiveDiff)
	return encode(w, doc)
}

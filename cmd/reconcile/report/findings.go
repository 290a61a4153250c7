package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
)

// findings writes those of the file with their source lines; those of the live
// job alone by their path; source is where that is from, of a job without a file.
func (p *page) findings(all []reconcile.Finding, source string) {
	var file, live []reconcile.Finding
	for _, f := range all {
		if f.Side == policies.LiveSide {
			live = append(live, f)
		} else {
			file = append(file, f)
		}
	}
	slices.SortStableFunc(file, byPlace)
	for _, f := range file {
		twin := func(g reconcile.Finding) bool {
			return g.Policy == f.Policy && g.Rule == f.Rule && g.Path.Equal(f.Path) && g.Message == f.Message
		}
		also := slices.ContainsFunc(live, twin)
		live = slices.DeleteFunc(live, twin)
		p.blank()
		p.fileFinding(f, also)
	}
	for _, f := range live {
		p.blank()
		p.findingHead(f, cmp.Or(source, "live job"))
		if len(f.Path) > 0 {
			p.para(8, "at ", dim, f.Path.String())
		}
	}
}

func (p *page) fileFinding(f reconcile.Finding, also bool) {
	place := f.File
	if f.Range.Start.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", f.File, f.Range.Start.Line, f.Range.Start.Column)
	}
	p.findingHead(f, place)
	p.source(f)
	if also {
		p.line(8, "The live job has it too.")
	}
}

// findingHead is "deny  jobs/web.hcl:47:17  sudo.preserve_env (policy)" and the
// message.
func (p *page) findingHead(f reconcile.Finding, place string) {
	rule := fmt.Sprintf("%s (%s)", f.Rule, f.Policy)
	if f.Fixable() {
		rule = fmt.Sprintf("%s (%s, fixable)", f.Rule, f.Policy)
	}
	p.findingPlace(string(f.Enforce), place, rule)
	text := f.Message
	if f.Denied() && !p.held {
		text += ". There is no fix for it: mend it by hand"
		if len(f.Edits) > 0 {
			text = f.Message + ". The policy does not say `fix = true`: mend it by hand"
		}
	}
	p.para(8, "", "", text)
}

// source is the line of the finding with carets under what it is about.
func (p *page) source(f reconcile.Finding) {
	if f.Range.Start.Line < 1 || f.Source == "" {
		return
	}
	number := fmt.Sprintf("%7d", f.Range.Start.Line)
	text, from, to := pointed(f, p.room(len(number)+3))
	bar := p.paint(dim, " | ")
	p.line(0, p.paint(dim, number)+bar+text)
	p.line(0, strings.Repeat(" ", len(number))+bar+strings.Repeat(" ", from)+p.paint(red, strings.Repeat("^", to-from)))
}

// findingPlace is a line, or two where there is no room.
func (p *page) findingPlace(enforce, place, rule string) {
	color := yellow
	if enforce == string(policies.Deny) {
		color = red
	}
	place = printable(place)
	head := p.paint(color, fmt.Sprintf("%-4s", enforce)) + "  " + p.paint(bold, place)
	if room := p.room(8); room == 0 || cells(place)+2+cells(rule) <= room {
		p.line(2, head+"  "+rule)
	} else {
		p.line(2, head)
		p.line(8, rule)
	}
}

// pointed is the source line as it is shown in at most room columns (0: all of
// it), and which of its columns, from 0, are the finding's.
func pointed(f reconcile.Finding, room int) (text string, from, to int) {
	before, literal, after := split(f)
	shown := shownLine(before + literal + after)
	head, tail := shownLine(before), shownLine(after)
	head = shown[:common(head, shown)]
	tail = shown[len(shown)-commonEnd(tail, shown[len(head):]):]
	literal = shown[len(head) : len(shown)-len(tail)]

	from = cells(head)
	to = from + max(cells(literal), 1)
	return window(shown, from, to, room)
}

// split cuts the source line at the finding's columns, which count graphemes.
func split(f reconcile.Finding) (before, literal, after string) {
	parts := graphemes(f.Source)
	start := min(max(f.Range.Start.Column-1, 0), len(parts))
	end := len(parts)
	if f.Range.End.Line == f.Range.Start.Line {
		end = min(max(f.Range.End.Column-1, start), len(parts))
	}
	before, literal, after = strings.Join(parts[:start], ""), strings.Join(parts[start:end], ""), strings.Join(parts[end:], "")
	return before, literal, after
}

// shownLine: tabs last, for only the whole line knows its tab stops.
func shownLine(s string) string { return expand(printable(redactLine(s))) }

func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

func commonEnd(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	return n
}

// window shows what fits around the columns from to to.
func window(s string, from, to, room int) (string, int, int) {
	if room <= 0 || cells(s) <= room {
		return s, from, to
	}
	const mark = "..."
	if from > room/2 {
		cut := from - room/3
		dropped := 0
		parts := graphemes(s)
		for len(parts) > 0 && dropped < cut {
			dropped += cellsOf(parts[0])
			parts = parts[1:]
		}
		s = mark + strings.Join(parts, "")
		from, to = from-dropped+len(mark), to-dropped+len(mark)
	}
	return clip(s, room), from, min(to, room)
}

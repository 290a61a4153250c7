// Package report renders plans, findings, runs and progress, for people and for
// machines. It only writes to the io.Writer that it is given: it reads no
// environment and no clock but to time the steps of a Progress.
//
// Everything that comes from files, jobs or logs passes two sieves on its way
// out: what looks like a secret is hidden, and control characters are shown
// instead of sent to a terminal. Text never fails: an error of the writer is the
// caller's to find, as with fmt.Fprint to a terminal that has gone.
package report

import (
	"io"
	"strings"
)

// Style says how text is to look.
type Style struct {
	Color    bool   // with ANSI colours
	Width    int    // columns; 0: unlimited
	Applying bool   // the verb carries the plans out: no hint to type `reconcile apply`
	Do       string // the command of that hint, where it is another one
}

// The colours, as parameters of an SGR sequence.
const (
	bold    = "1"
	dim     = "2"
	reverse = "7"
	red     = "31"
	green   = "32"
	yellow  = "33"
	cyan    = "36"
)

// narrowest is the width below which lines are not made narrower.
const narrowest = 40

func (s Style) paint(color, text string) string {
	if !s.Color || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// room is how many columns are left right of an indent; 0: unlimited.
func (s Style) room(indent int) int {
	if s.Width <= 0 {
		return 0
	}
	return max(s.Width, narrowest) - indent
}

// page collects lines, and writes them at once.
type page struct {
	Style
	names []string // of what is written about; never taken for secrets
	held  bool     // nothing is done to it, whatever could be
	b     strings.Builder
}

func (p *page) flush(w io.Writer) { _, _ = io.WriteString(w, p.b.String()) }

// line writes text as it is; it may hold colours.
func (p *page) line(indent int, text string) {
	if text != "" {
		p.b.WriteString(strings.Repeat(" ", indent))
		p.b.WriteString(text)
	}
	p.b.WriteByte('\n')
}

// blank writes an empty line, never two.
func (p *page) blank() {
	if text := p.b.String(); text != "" && !strings.HasSuffix(text, "\n\n") {
		p.b.WriteByte('\n')
	}
}

// para wraps text behind a label; further lines stand below its start.
func (p *page) para(indent int, label, color, text string) {
	hang := indent + cells(label)
	for i, l := range wrap(clean(text, p.names...), p.room(hang)) {
		if i == 0 {
			p.line(indent, p.paint(color, label)+l)
		} else {
			p.line(hang, l)
		}
	}
}

package report

import (
	"fmt"
	"io"

	"nomad-reconcile/state/history"
)

// Suspended writes what was suspended, and how to end it.
func Suspended(w io.Writer, list []history.Suspension, s Style) {
	p := &page{Style: s}
	for _, one := range list {
		p.suspension("! ", yellow, "suspended", one)
		p.para(4, "next: ", cyan, "reconcile resume "+resumeName(one))
	}
	p.flush(w)
}

// Resumed writes what is suspended no more, and what still is.
func Resumed(w io.Writer, ended, left []history.Suspension, s Style) {
	p := &page{Style: s}
	for _, one := range ended {
		p.suspension("✓ ", green, "resumed, was suspended", one)
	}
	for _, one := range left {
		p.suspension("! ", yellow, "still suspended", one)
		p.para(4, "next: ", cyan, "reconcile resume "+resumeName(one))
	}
	p.flush(w)
}

func (p *page) suspension(sign, color, words string, s history.Suspension) {
	name := s.Job
	if s.All() {
		name = "all jobs"
	}
	p.names = []string{name}
	p.para(0, sign, color, fmt.Sprintf("%s: %s: %s", name, s.Describe(words), s.Reason))
}

func resumeName(s history.Suspension) string {
	if s.All() {
		return "-all"
	}
	return s.Job
}

package report

import (
	"fmt"
	"io"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
)

// Imported is a job whose source was brought to disk, or was not.
type Imported struct {
	Job   job.ID
	Files []string // as users see them; the job file first
	Hold  *reconcile.Hold
	Notes []string
}

// Advice is what to add to the configuration, and why.
type Advice struct {
	Why   string
	Lines []string // of HCL
}

// Imports writes what became of each job, a summary, and what to do next.
func Imports(w io.Writer, all []Imported, advice []Advice, next string, s Style) {
	p := &page{Style: s}
	done := 0
	for _, i := range all {
		p.imported(i)
		if i.Hold == nil {
			done++
		}
	}
	p.blank()
	p.total(fmt.Sprintf("Imported %d of %s.", done, count(len(all), "job")))
	for _, a := range advice {
		p.blank()
		p.para(0, "", "", a.Why)
		for _, l := range a.Lines {
			p.line(2, printable(l))
		}
	}
	if next != "" {
		p.para(0, "Next: ", cyan, next)
	}
	p.flush(w)
}

func (p *page) imported(i Imported) {
	p.names = []string{i.Job.String(), i.Job.Name}
	if i.Hold != nil {
		p.title(look{"✗", red, "not imported"}, i.Job.String(), i.Hold.Reason)
		p.hold(i.Hold)
		return
	}
	p.title(look{"✓", green, "imported"}, i.Job.String(), "")
	for k, file := range i.Files {
		p.fact([]string{"file", "values"}[k], file)
	}
	for _, note := range i.Notes {
		p.fact("note", note)
	}
}

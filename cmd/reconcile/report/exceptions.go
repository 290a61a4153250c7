package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"time"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
)

// dueDays is how long before its end an exception is told of.
const dueDays = 14

// Due is an exception that ends soon, or has ended.
type Due struct {
	policies.Exception
	Days  int // until its last day; 0 on that day
	Ended bool
}

// DueExceptions are those of all that have ended or end within 14 days, the
// earliest first.
func DueExceptions(all []policies.Exception, now time.Time) []Due {
	var out []Due
	today := now.UTC().Truncate(24 * time.Hour)
	for _, e := range all {
		d := Due{Exception: e, Days: int(e.Expires.Sub(today).Hours() / 24), Ended: e.Ended(now)}
		if d.Days <= dueDays {
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b Due) int {
		return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Range.Filename, b.Range.Filename),
			cmp.Compare(a.Range.Start.Byte, b.Range.Start.Byte))
	})
	return out
}

func (d Due) place() string { return fmt.Sprintf("%s:%d", d.Range.Filename, d.Range.Start.Line) }

// ends is "ended on 2026-11-01" or "ends on 2026-12-01, in 8 days".
func (d Due) ends() string {
	day := d.Expires.Format(time.DateOnly)
	switch {
	case d.Ended:
		return "ended on " + day
	case d.Days == 0:
		return "ends today, " + day
	}
	return fmt.Sprintf("ends on %s, in %s", day, count(d.Days, "day"))
}

// Exceptions writes what has to be seen to: mended, or given a new day. Nothing
// where no exception is due.
func Exceptions(w io.Writer, due []Due, s Style) {
	if len(due) == 0 {
		return
	}
	p := &page{Style: s}
	p.b.WriteByte('\n')
	p.line(0, p.paint(bold, "Exceptions that end soon or have ended:"))
	for _, d := range due {
		color := yellow
		if d.Ended {
			color = red
		}
		head := p.paint(bold, printable(d.place())) + "  " + p.paint(color, d.ends()) + " (" + printable(d.Policy) + ")"
		p.line(2, head)
		p.para(4, "", "", d.Reason)
	}
	p.flush(w)
}

// excepted writes one dim line for each exception that waives findings of a job.
func (p *page) excepted(all []reconcile.Finding) {
	if len(all) == 0 {
		return
	}
	p.blank()
	var told []*policies.Exception
	for _, f := range all {
		if slices.Contains(told, f.Exception) {
			continue
		}
		told = append(told, f.Exception)
		n := countOf(all, func(g reconcile.Finding) bool { return g.Exception == f.Exception })
		text := fmt.Sprintf("%s of %s excepted until %s: %s", count(n, "finding"), f.Policy, f.Exception.Expires.Format(time.DateOnly), f.Exception.Reason)
		for _, l := range wrap(clean(text, p.names...), p.room(2)) {
			p.line(2, p.paint(dim, l))
		}
	}
}

// unexcepted are the findings that no exception waives, and the others; what is
// excepted on both sides is told of once.
func unexcepted(all []reconcile.Finding) (out, excepted []reconcile.Finding) {
	for _, f := range all {
		switch {
		case f.Exception == nil:
			out = append(out, f)
		case !slices.ContainsFunc(excepted, func(g reconcile.Finding) bool { return sameButSide(f, g) }):
			excepted = append(excepted, f)
		}
	}
	return out, excepted
}

func sameButSide(f, g reconcile.Finding) bool {
	return g.Side != f.Side && g.Policy == f.Policy && g.Rule == f.Rule && g.Path.Equal(f.Path) && g.Message == f.Message
}

func isExcepted(f reconcile.Finding) bool { return f.Exception != nil }

func countOf(all []reconcile.Finding, is func(reconcile.Finding) bool) int {
	n := 0
	for _, f := range all {
		if is(f) {
			n++
		}
	}
	return n
}

// waiver is the exception of a finding in JSON.
type waiver struct {
	Reason  string `json:"reason"`
	Expires string `json:"expires"`
}

func waiverOf(e *policies.Exception) *waiver {
	if e == nil {
		return nil
	}
	return &waiver{Reason: redactProse(e.Reason), Expires: e.Expires.Format(time.DateOnly)}
}

// due is an exception that ends soon, or has ended, in JSON.
type due struct {
	Policy  string   `json:"policy"`
	Rules   []string `json:"rules"`
	Reason  string   `json:"reason"`
	Expires string   `json:"expires"`
	Ended   bool     `json:"ended"`
	File    string   `json:"file"`
	Line    int      `json:"line"`
}

func duesOf(in []Due) []due {
	out := make([]due, len(in))
	for i, d := range in {
		out[i] = due{
			Policy: d.Policy, Rules: orEmpty(d.Rules), Reason: redactProse(d.Reason), Expires: d.Expires.Format(time.DateOnly),
			Ended: d.Ended, File: d.Range.Filename, Line: d.Range.Start.Line,
		}
	}
	return out
}

package report

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"nomad-reconcile/reconcile/doctor"
	"nomad-reconcile/reconcile/gates"
)

var healths = map[doctor.Health]look{
	doctor.Fine:   {"✓", green, "fine"},
	doctor.Denied: {"✗", red, "denied"},
	doctor.Held:   {"!", yellow, "held"},
	doctor.Ill:    {"✗", red, "ill"},
	doctor.Blind:  {"!", yellow, "cannot tell"},
}

// Doctor writes why a job does not start: the verdict, what it rests on, and what
// to type next.
func Doctor(w io.Writer, d doctor.Page, s Style) {
	p := &page{Style: s, names: []string{d.ID.String(), d.ID.Name, "NOPASSWD", "PASSWD"}} // these are tags of sudoers
	p.verdict(healths[d.Health], d.ID.String(), d.Verdict)
	if d.Plan != nil {
		p.held = d.Plan.Hold != nil
		found, excepted := unexcepted(d.Plan.Findings)
		p.findings(found, d.Plan.Source)
		p.excepted(excepted)
	}
	p.tasks(d)
	p.sudo(d.Sudo)
	p.registered(d)
	p.list("No place:", yellow, d.Placement)
	p.asked(d.Gates)
	p.list("Cannot tell:", yellow, d.Unknown)
	if d.Plan != nil { // suspended, say: why nothing mends it
		p.list("Note:", cyan, d.Plan.Notes)
	}
	p.next(d.Next)
	p.flush(w)
}

// verdict begins on the first line, however narrow.
func (p *page) verdict(l look, name, text string) {
	head := fmt.Sprintf("%s %s: %s: ", l.sign, printable(name), l.words)
	const hang = 4
	for i, line := range wrap(head+clean(text, p.names...), p.room(hang)) {
		rest, whole := strings.CutPrefix(line, head)
		switch {
		case i > 0:
			p.line(hang, line)
		case whole:
			p.line(0, p.paint(l.color, l.sign)+" "+p.paint(bold, printable(name))+": "+p.paint(l.color, l.words)+": "+rest)
		default:
			p.line(0, line)
		}
	}
}

// registered is the live job, its deployment and its newest evaluation.
func (p *page) registered(d doctor.Page) {
	if d.Live == nil {
		return
	}
	state := d.Live.State
	state.Failure = nil // the tasks tell it
	p.live(&state, d.Verdict)
	if d.Child != "" {
		p.para(2, "Launched: ", bold, d.Child)
	}
	if d.Deployed != "" {
		p.para(2, "Deployment: ", bold, d.Deployed)
	}
	if d.Scheduling != "" {
		p.para(2, "Scheduler: ", bold, d.Scheduling)
	}
}

func (p *page) tasks(d doctor.Page) {
	for _, t := range d.Tasks {
		p.blank()
		text := fmt.Sprintf("%s of allocation %s on node %s: %s", t.Name, t.Alloc[:min(8, len(t.Alloc))], t.Node, t.State)
		if t.Failed {
			text += ", failed"
		}
		if t.Restarts > 0 {
			text += ", " + count(int(t.Restarts), "restart")
		}
		p.para(2, "Task ", bold, text)
		p.events(t.Events, d.Now)
		p.stderr(t)
	}
}

func (p *page) events(events []doctor.Event, now time.Time) {
	width := 0
	for _, e := range events {
		width = max(width, cells(e.Type))
	}
	for _, e := range events {
		text := e.Message
		if e.Ended {
			text = fmt.Sprintf("exit code %d", e.ExitCode)
			if e.Signal != 0 {
				text += fmt.Sprintf(", signal %d", e.Signal)
			}
			if e.OOM {
				text += ", out of memory"
			}
		}
		p.para(6, fmt.Sprintf("%-8s  %-*s  ", ago(now.Sub(e.Time)), width, printable(e.Type)), dim, text)
	}
}

// stderr is the last lines that a task said.
func (p *page) stderr(t doctor.Task) {
	if t.NoStderr != "" {
		p.para(6, "stderr cannot be read: ", yellow, t.NoStderr)
	}
	for _, l := range strings.Split(redactText(strings.Join(t.Stderr, "\n")), "\n") {
		if strings.TrimSpace(l) != "" {
			p.line(6, p.paint(dim, "| ")+clip(expand(printable(strings.TrimRight(l, "\r\n"))), p.room(8)))
		}
	}
}

// sudo is each line that the job runs through sudo, beside what sudoers says. What
// may be copied is never broken.
func (p *page) sudo(all []doctor.Sudo) {
	for _, s := range all {
		p.blank()
		p.para(2, "Sudo: ", bold, "task "+s.Task+who(s))
		p.line(6, printable(redactLine(s.Line)))
		if s.Unknown != "" {
			p.para(6, "? ", yellow, "cannot tell: "+s.Unknown)
			continue
		}
		if s.Says.Allowed {
			p.line(6, p.paint(dim, "sudoers: ")+printable(redactSudoers(s.Says.Rule)))
			p.para(6, "in force: ", dim, s.Has())
		}
		p.complaints(s.Complaints())
	}
}

func (p *page) complaints(all []doctor.Complaint) {
	for _, c := range all {
		sign, color := "! ", yellow
		if c.Fatal {
			sign, color = "✗ ", red
		}
		p.para(6, sign, color, c.Text)
		if c.Sudoers != "" {
			p.line(8, p.paint(dim, "it would be: ")+printable(redactSudoers(c.Sudoers)))
		}
	}
	if len(all) == 0 {
		p.para(6, "✓ ", green, "nothing is missing, nothing is too much")
	}
}

func who(s doctor.Sudo) string {
	if s.User == "" {
		return ""
	}
	return fmt.Sprintf(", %s as %s", s.User, s.RunAs)
}

// asked are the gates of the rollout, as they stand now.
func (p *page) asked(results []gates.Result) {
	if len(results) == 0 {
		return
	}
	p.section("Gates:")
	for _, g := range results {
		sign, color := "✓ ", green
		if !g.Passed {
			sign, color = "✗ ", red
		}
		text := gates.Title(g.Kind, g.Name)
		if g.Detail != "" {
			text += ": " + g.Detail
		}
		p.para(4, sign, color, text)
	}
}

// next are commands to paste; the reason is a comment for the shell before it.
func (p *page) next(steps []doctor.Step) {
	if len(steps) == 0 {
		return
	}
	p.blank()
	p.line(0, p.paint(bold, "Next:"))
	for _, s := range steps {
		for _, l := range wrap(clean(s.Why, p.names...), p.room(4)) {
			p.line(2, p.paint(dim, "# "+l))
		}
		p.line(2, p.paint(cyan, printable(redactSudoers(s.Command))))
	}
}

var sudoersTag = regexp.MustCompile(`\b(NO)?(PASSWD|SETENV): `)

// redactSudoers hides secrets in a line with rules of sudoers: what stands after
// `NOPASSWD: ` is no password.
func redactSudoers(line string) string {
	var b strings.Builder
	from := 0
	for _, at := range sudoersTag.FindAllStringIndex(line, -1) {
		b.WriteString(redactLine(line[from:at[0]]) + line[at[0]:at[1]])
		from = at[1]
	}
	return b.String() + redactLine(line[from:])
}

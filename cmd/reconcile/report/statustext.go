package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// StatusText writes what the agent is up to and a table of the jobs, the worst first.
// Jobs in sync are counted where they are many, and not all is asked for.
func StatusText(w io.Writer, d Status, all bool, now time.Time, s Style) {
	p := &page{Style: s}
	p.agent(d.Agent, now)
	p.blank()
	shown, quiet := d.Jobs, 0
	if n := d.Summary.InSync; n > quietMost && !all {
		shown, quiet = notInSync(d.Jobs), n
	}
	p.statusTable(worstFirst(shown), now)
	if quiet > 0 {
		p.line(0, p.paint(green, "✓ ")+fmt.Sprintf("%d jobs in sync (reconcile status -all lists them)", quiet))
	}
	p.blank()
	p.statusTotal(d)
	p.flush(w)
}

func notInSync(jobs []StatusJob) []StatusJob {
	return slices.DeleteFunc(slices.Clone(jobs), func(j StatusJob) bool { return j.Condition == reconcile.InSync })
}

// worstFirst keeps jobs of one condition in the order of their IDs.
func worstFirst(jobs []StatusJob) []StatusJob {
	rank := controller.Conditions()
	out := slices.Clone(jobs)
	slices.SortStableFunc(out, func(a, b StatusJob) int {
		return cmp.Compare(slices.Index(rank, a.Condition), slices.Index(rank, b.Condition))
	})
	return out
}

func (p *page) statusTotal(d Status) {
	if len(d.Jobs) == 0 && !d.Agent.Knows() {
		p.para(0, "", "", "Status: nothing has been looked at yet.")
		return
	}
	if len(d.Jobs) == 0 {
		p.para(0, "", "", "Status: no jobs. No job file and no live job matches; look at the `source` blocks of reconcile.hcl.")
		return
	}
	var parts []string
	for _, c := range controller.Conditions() {
		n := 0
		for _, j := range d.Jobs {
			if j.Condition == c {
				n++
			}
		}
		if n > 0 || c == reconcile.InSync {
			parts = append(parts, fmt.Sprintf("%d %s", n, conditions[c].words))
		}
	}
	p.total("Status: " + strings.Join(parts, ", ") + ".")
}

// agent is a line on the agent's life, and one for each thing that it cannot do.
func (p *page) agent(a *agentDoc, now time.Time) {
	if a == nil {
		p.para(0, "Agent: ", bold, "none is running; this was worked out now.")
		return
	}
	parts := []string{"running for " + passed(now, &a.Started)}
	if a.Passed != nil {
		parts = append(parts, "last pass "+ago(now.Sub(*a.Passed)))
	}
	if a.Loaded != nil {
		parts = append(parts, fmt.Sprintf("configuration %s loaded %s", hex8(a.Config), ago(now.Sub(*a.Loaded))))
	}
	p.para(0, "Agent: ", bold, strings.Join(parts, ", ")+".")
	for _, text := range a.troubles(now) {
		p.para(2, "! ", yellow, text)
	}
}

func (a *agentDoc) troubles(now time.Time) []string {
	var out []string
	say := func(when bool, format string, args ...any) {
		if when {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	say(!a.Ready, "the first pass is under way: %d of %d jobs have been looked at", a.Known-a.Left, a.Known)
	say(a.LoadError != "", "what was loaded stays in force, since something newer does not load: %s; `reconcile plan` shows its mistakes", a.LoadError)
	say(a.NomadError != "", "Nomad cannot be asked, so this is what was known before: %s", a.NomadError)
	for _, text := range a.FileErrors {
		say(true, "%s", text)
	}
	say(len(a.Polling) > 0, "what cannot be watched is looked at now and then: %s", strings.Join(a.Polling, ", "))
	if a.CalmUntil != nil {
		say(a.CalmUntil.After(now), "a window of calm: for %s more the agent changes nothing by itself", passed(*a.CalmUntil, &now))
	}
	say(a.Waiting > 0, "limits.max_changes: %s with changes for the next full pass; `reconcile apply` does not wait", waits(a.Waiting))
	return out
}

func waits(n int) string {
	if n == 1 {
		return "1 job waits"
	}
	return fmt.Sprintf("%d jobs wait", n)
}

// passed is how long ago something was, in one unit; "-" where it is not known.
func passed(now time.Time, since *time.Time) string {
	if since == nil {
		return "-"
	}
	text, _ := strings.CutSuffix(ago(now.Sub(*since)), " ago")
	if text == "just now" {
		return "0s"
	}
	return text
}

// hex8 is as much of a hash as people compare.
func hex8(hash string) string { return cmp.Or(hash[:min(len(hash), 8)], "-") }

func (j StatusJob) id() job.ID { return job.ID{Namespace: j.Namespace, Name: j.ID} }

// lastRunText is how the last run ended, and when.
func (j StatusJob) lastRunText(now time.Time) (text, color string) {
	r := j.LastRun
	switch {
	case r == nil:
		return "-", dim
	case j.Running:
		return "under way " + passed(now, &r.Started), cyan
	}
	l := lookOf(history.Run{Result: history.Result(r.Result)})
	return l.words + " " + ago(now.Sub(r.Started)), l.color
}

// widestName is where a long name begins to push its row aside, not all rows.
const widestName = 40

// narrowestReason is the room below which reasons stand under their rows.
const narrowestReason = 40

var statusHead = []string{"JOB", "CONDITION", "SINCE", "REVISION", "LAST RUN"}

func (p *page) statusTable(jobs []StatusJob, now time.Time) {
	if len(jobs) == 0 {
		return
	}
	rows := [][]string{statusHead}
	for _, j := range jobs {
		run, _ := j.lastRunText(now)
		rows = append(rows, []string{printable(j.id().String()), conditions[j.Condition].words, passed(now, j.Since), hex8(j.Revision), run})
	}
	widths := widthsOf(rows)
	widths[4] = max(widths[4], widestRun(jobs))
	if widths[0] > widestName {
		widths[0] = 0
		for _, row := range rows {
			if n := cells(row[0]); n <= widestName {
				widths[0] = max(widths[0], n)
			}
		}
	}
	at := 2
	for _, n := range widths {
		at += n + 2
	}
	beside := p.room(0) == 0 || p.room(at) >= narrowestReason
	head := "  " + aligned(statusHead, widths)
	if beside {
		head += "REASON"
	}
	p.line(0, p.paint(bold, strings.TrimRight(head, " ")))
	for i, j := range jobs {
		p.statusRow(j, rows[i+1], widths, beside, now)
	}
}

// widestRun is for the longest age, so that columns do not jump while ages grow.
func widestRun(jobs []StatusJob) int {
	widest := 0
	for _, j := range jobs {
		if r := j.LastRun; r != nil {
			widest = max(widest, len(lookOf(history.Run{Result: history.Result(r.Result)}).words+" just now"))
		}
	}
	return widest
}

func aligned(row []string, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		b.WriteString(cell + strings.Repeat(" ", max(widths[i]-cells(cell), 0)+2))
	}
	return b.String()
}

// statusRow is one job; what is said of it stands in the last column, or below where
// there is no room.
func (p *page) statusRow(j StatusJob, row []string, widths []int, beside bool, now time.Time) {
	l := conditions[j.Condition]
	_, runColor := j.lastRunText(now)
	line := p.paint(l.color, l.sign) + " "
	for i, color := range []string{bold, l.color, "", "", runColor} {
		line += p.paint(color, row[i])
		if n := widths[i] - cells(row[i]); n >= 0 {
			line += strings.Repeat(" ", n+2)
		} else { // a long name has a line of its own
			p.line(0, line)
			line = strings.Repeat(" ", widths[i]+4)
		}
	}
	p.names = []string{j.id().String(), j.ID}
	if p.room(0) == 0 {
		p.line(0, strings.TrimRight(line+clean(j.said(), p.names...), " "))
		return
	}
	indent := 4
	if beside {
		indent = 2 + cells(aligned(row, widths)) - max(cells(row[0])-widths[0], 0)
	}
	said := p.saidLines(j, indent)
	if beside && len(said) > 0 {
		line, said = line+said[0], said[1:]
	}
	p.line(0, strings.TrimRight(line, " "))
	for _, text := range said {
		p.line(indent, text)
	}
}

// said is the reason and what to do, in one line.
func (j StatusJob) said() string {
	parts := j.reasons()
	if len(j.Next) > 0 {
		parts = append(parts, "next: "+strings.Join(j.Next, "; "))
	}
	return strings.Join(parts, "; ")
}

func (j StatusJob) reasons() []string {
	var parts []string
	if j.Reason != "" {
		parts = append(parts, j.Reason)
	}
	if j.Queued {
		parts = append(parts, "something moved: it will be looked at again")
	}
	return parts
}

func (p *page) saidLines(j StatusJob, indent int) []string {
	room := max(p.room(indent), narrowest/2)
	var out []string
	if text := clean(strings.Join(j.reasons(), "; "), p.names...); text != "" {
		out = wrap(text, room)
	}
	const label = "next: "
	for _, next := range j.Next {
		for i, l := range wrap(clean(next, p.names...), max(room-len(label), narrowest/2)) {
			if i == 0 {
				out = append(out, p.paint(cyan, label)+l)
			} else {
				out = append(out, strings.Repeat(" ", len(label))+l)
			}
		}
	}
	return out
}

// JobStatusText writes all that is known of one job on one page.
func JobStatusText(w io.Writer, d Status, one JobStatus, now time.Time, s Style) {
	p := &page{Style: s}
	p.agent(d.Agent, now)
	p.blank()
	j := one.Job
	p.names = []string{j.id().String(), j.ID}
	p.title(conditions[j.Condition], j.id().String(), j.Reason)
	for _, next := range j.Next {
		p.para(4, "next: ", cyan, next)
	}
	p.blank()
	p.statusFacts(j, now)
	if one.Plan != nil {
		p.statusFindings(one.Plan.Findings)
		p.statusChanges(one.Plan)
	}
	p.statusRuns(one.Runs, now)
	p.flush(w)
}

func (p *page) statusFacts(j StatusJob, now time.Time) {
	fact := func(name, text string) {
		if text != "" {
			p.para(2, fmt.Sprintf("%-10s", name), dim, text)
		}
	}
	if j.Since != nil {
		fact("since", ago(now.Sub(*j.Since)))
	}
	if j.Looked != nil {
		text := ago(now.Sub(*j.Looked))
		if j.Queued {
			text += "; something moved, and it will be looked at again"
		}
		fact("looked at", text)
	}
	fact("file", j.File)
	fact("source", j.Source)
	if j.Version != nil {
		fact("live", fmt.Sprintf("version %d", *j.Version))
	} else {
		fact("live", "Nomad does not know it")
	}
	if j.Revision != "" {
		fact("revision", fmt.Sprintf("%s, policies %s", hex8(j.Revision), hex8(j.Policies)))
	}
}

func (p *page) statusFindings(all []finding) {
	live := string(policies.LiveSide)
	for _, f := range all {
		twin := func(g finding) bool {
			return g.Side != f.Side && g.Policy == f.Policy && g.Rule == f.Rule && g.Path == f.Path && g.Message == f.Message
		}
		also := slices.ContainsFunc(all, twin)
		if f.Exception != nil || f.Side == live && also {
			continue
		}
		place := cmp.Or(f.File, "live job")
		if f.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
		}
		rule := fmt.Sprintf("%s (%s)", f.Rule, f.Policy)
		if f.Fixable {
			rule = fmt.Sprintf("%s (%s, fixable)", f.Rule, f.Policy)
		}
		p.blank()
		p.findingPlace(f.Enforce, place, rule)
		p.para(8, "", "", f.Message)
		if also {
			p.line(8, "The live job has it too.")
		}
	}
}

// statusChanges sums up what differs; `reconcile plan` shows it whole.
func (p *page) statusChanges(plan *plannedJob) {
	if plan.FileDiff == "" && len(plan.LiveDiff) == 0 && len(plan.Actions) == 0 {
		return
	}
	p.section("Differs:")
	if plan.FileDiff != "" {
		added, removed := changedLines(plan.FileDiff)
		p.para(4, "file  ", dim, fmt.Sprintf("%s added, %d removed by fixes", count(added, "line"), removed))
	}
	for _, c := range plan.LiveDiff {
		kind := "drift"
		if c.Finding {
			kind = "fix"
		}
		p.para(4, "live  ", dim, fmt.Sprintf("%s  (%s)", c.Path, kind))
	}
	if len(plan.Actions) > 0 {
		p.para(4, "to do ", dim, toDo(plan.Actions))
	}
	p.para(4, "", "", "`reconcile plan "+job.ID{Namespace: plan.Namespace, Name: plan.ID}.String()+"` shows it whole.")
}

func toDo(actions []reconcile.Action) string {
	words := make([]string, len(actions))
	for i, a := range actions {
		words[i] = string(a)
	}
	return strings.Join(words, ", then ")
}

// changedLines counts those of a unified diff.
func changedLines(diff string) (added, removed int) {
	for line := range strings.Lines(diff) {
		switch {
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "):
		case strings.HasPrefix(line, "+"):
			added++
		case strings.HasPrefix(line, "-"):
			removed++
		}
	}
	return added, removed
}

func (p *page) statusRuns(runs []pastRun, now time.Time) {
	if len(runs) == 0 {
		return
	}
	p.section("Last runs:")
	for _, r := range runs {
		l := lookOf(history.Run{Result: history.Result(r.Result)})
		text := fmt.Sprintf("%s %s, by %s: %s", l.words, ago(now.Sub(r.Started)), r.Kind, r.ID)
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		p.para(4, l.sign+" ", l.color, text)
	}
}

// StatusChanges writes a line for each job that is in another condition than before,
// or was not there, and for each that is gone. Without a status before, jobs in sync
// are left out.
func StatusChanges(w io.Writer, before *Status, d Status, s Style) {
	p := &page{Style: s}
	was := map[job.ID]reconcile.Condition{}
	if before != nil {
		for _, j := range before.Jobs {
			was[j.id()] = j.Condition
		}
	}
	for _, j := range d.Jobs {
		old, known := was[j.id()]
		delete(was, j.id())
		if known && old == j.Condition || before == nil && j.Condition == reconcile.InSync {
			continue
		}
		l := conditions[j.Condition]
		words := l.words
		if known {
			words += " (was " + conditions[old].words + ")"
		}
		p.names = []string{j.id().String(), j.ID}
		text := p.paint(l.color, l.sign) + " " + p.paint(bold, printable(j.id().String())) + ": " + p.paint(l.color, words)
		if said := clean(j.said(), p.names...); said != "" {
			text += ": " + said
		}
		p.line(0, text)
	}
	for _, j := range beforeJobs(before) {
		if _, gone := was[j.id()]; gone {
			p.line(0, "- "+printable(j.id().String())+": gone")
		}
	}
	p.flush(w)
}

func beforeJobs(s *Status) []StatusJob {
	if s == nil {
		return nil
	}
	return s.Jobs
}

package report

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
)

// fileDiff is the unified diff of the file.
func (p *page) fileDiff(diff string) {
	if diff == "" {
		return
	}
	p.section("File:")
	p.diffLines(4, redactDiff(strings.TrimSuffix(diff, "\n")))
}

func (p *page) diffLines(indent int, diff string) {
	lines := strings.Split(diff, "\n")
	for i := range lines {
		if lines[i] = printable(strings.TrimSuffix(lines[i], "\r")); lines[i] == " " {
			lines[i] = ""
		}
	}
	for i := 0; i < len(lines); i++ {
		if p.Color && onePair(lines, i) {
			before, after := p.emphasized(lines[i], lines[i+1])
			p.line(indent, before)
			p.line(indent, after)
			i++
			continue
		}
		p.line(indent, p.paint(diffColor(lines[i]), lines[i]))
	}
}

// onePair: line i is replaced by the one after it, and by no other.
func onePair(lines []string, i int) bool {
	sign := func(i int) string {
		if i < 0 || i >= len(lines) || strings.HasPrefix(lines[i], "--- ") || strings.HasPrefix(lines[i], "+++ ") {
			return ""
		}
		return lines[i][:min(1, len(lines[i]))]
	}
	return sign(i) == "-" && sign(i+1) == "+" && sign(i-1) != "-" && sign(i+2) != "+"
}

// emphasized shows within a pair of lines what is not in the other.
func (p *page) emphasized(before, after string) (string, string) {
	a, b := graphemes(before[1:]), graphemes(after[1:])
	shorter := min(len(a), len(b))
	tail := 0 // first, so that an element of a list goes with its own quotes
	for tail < shorter && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	head := 0
	for head < shorter-tail && a[head] == b[head] {
		head++
	}
	text := func(parts []string, color, sign string) string {
		from, to := head, len(parts)-tail
		return p.paint(color, sign+strings.Join(parts[:from], "")) +
			p.paint(reverse+";"+color, strings.Join(parts[from:to], "")) + p.paint(color, strings.Join(parts[to:], ""))
	}
	return text(a, red, "-"), text(b, green, "+")
}

func diffColor(line string) string {
	switch {
	case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
		return bold
	case strings.HasPrefix(line, "@@"):
		return cyan
	case strings.HasPrefix(line, "-"):
		return red
	case strings.HasPrefix(line, "+"):
		return green
	}
	return ""
}

// liveDiff is what differs in the live job, place by place.
func (p *page) liveDiff(plan reconcile.Plan) {
	if len(plan.LiveDiff) == 0 {
		return
	}
	p.section("Live job:")
	for _, c := range plan.LiveDiff {
		p.change(c)
	}
	for _, u := range plan.Updates {
		p.para(4, "Nomad: ", dim, u)
	}
}

func (p *page) change(c reconcile.Change) {
	p.difference(c.Path.String(), plain(c.Path, c.Before), plain(c.Path, c.After), kind(c))
}

// difference shows one place, without secrets, that changes, and what becomes of
// it, if that is to be said.
func (p *page) difference(head string, before, after any, note string) {
	sign := p.paint(yellow, "~ ")
	text := inline(before) + " -> " + inline(after)
	if note != "" {
		note = "  " + note
	}
	if !manyLines(before, after) && p.easy(head+": "+text+note, 6) {
		p.line(4, sign+head+": "+text+p.paint(dim, note))
		return
	}
	if p.easy(head+note, 6) {
		p.line(4, sign+head+p.paint(dim, note))
	} else {
		p.line(4, sign+head)
		if note != "" {
			p.line(8, p.paint(dim, strings.TrimSpace(note)))
		}
	}
	if !manyLines(before, after) && p.easy(text, 8) {
		p.line(8, text)
		return
	}
	p.lineDiff(p.around(asLines(before), asLines(after)))
}

// around: of two long texts of one line, the part where they begin to differ.
func (p *page) around(before, after []string) ([]string, []string) {
	room := p.room(10)
	if room == 0 || len(before) != 1 || len(after) != 1 || max(cells(before[0]), cells(after[0])) <= room {
		return before, after
	}
	a, b := graphemes(before[0]), graphemes(after[0])
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	from := cells(strings.Join(a[:same], ""))
	a0, _, _ := window(before[0], from, from+1, room)
	b0, _, _ := window(after[0], from, from+1, room)
	return []string{a0}, []string{b0}
}

// easyMost is how long a change in one line may be to be read at a glance.
const easyMost = 120

// easy: it fits, and is not so long that its lines are better one below the other.
func (p *page) easy(text string, indent int) bool {
	room := p.room(indent)
	return cells(text) <= easyMost && (room == 0 || cells(text) <= room)
}

// kind says what becomes of a difference.
func kind(c reconcile.Change) string {
	switch {
	case c.Finding && c.Stays:
		return "(fix, not done)"
	case c.Finding:
		return "(fix)"
	case c.Stays:
		return "(drift, stays)"
	}
	return "(drift, corrected)"
}

func manyLines(values ...any) bool {
	return slices.ContainsFunc(values, func(v any) bool {
		s, ok := v.(string)
		return ok && strings.Contains(strings.TrimSuffix(s, "\n"), "\n")
	})
}

// shownMost is how many lines of a long value are shown.
const shownMost = 20

// lineDiff shows two values line by line: what changed, with a little around it.
func (p *page) lineDiff(before, after []string) {
	join := func(lines []string) string {
		if len(lines) == 0 {
			return ""
		}
		return strings.Join(lines, "\n") + "\n"
	}
	lines := strings.Split(strings.TrimSuffix(udiff.Unified("a", "b", join(before), join(after)), "\n"), "\n")
	lines = lines[min(3, len(lines)):] // the file names and the first hunk's place
	if len(lines) == 0 {
		p.line(8, p.paint(dim, "(differs in what is redacted)"))
	}
	for i, line := range lines {
		if i == shownMost {
			p.line(8, p.paint(dim, fmt.Sprintf("... %s more", count(len(lines)-i, "line"))))
			return
		}
		if strings.HasPrefix(line, "@@") {
			line = "  ..."
		}
		mark, text := line[:min(1, len(line))], line[min(1, len(line)):]
		p.line(8, p.paint(diffColor(line), clip(mark+" "+expand(strings.TrimSuffix(text, "\r")), p.room(8))))
	}
}

// asLines: a text by its lines, a list by its elements, anything else as one.
func asLines(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		if !strings.Contains(v, "\n") {
			return []string{inline(v)}
		}
		return strings.Split(printable(strings.TrimSuffix(v, "\n")), "\n")
	case []any:
		out := make([]string, len(v))
		for i := range v {
			out[i] = inline(v[i])
		}
		return out
	case map[string]any:
		var out []string
		for _, key := range sortedKeys(v) {
			out = append(out, key+" = "+inline(v[key]))
		}
		return out
	}
	return []string{inline(v)}
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for key := range m {
		out = append(out, key)
	}
	slices.Sort(out)
	return out
}

// plain is the value at a path for printing, without its secrets.
func plain(p job.Path, v cty.Value) any { return redactValue(p, goValue(v)) }

func plainNamed(name string, v cty.Value) any {
	return redactValue(job.Path{}.Attr(name), goValue(v))
}

const notKnown = "(not known)"

func goValue(v cty.Value) any {
	if v == cty.NilVal {
		return nil
	}
	out, err := job.GoValue(v)
	if err != nil { // a value that no job can hold, such as an unknown one
		return notKnown
	}
	return out
}

// inline is a value in one line, as a job file would say it.
func inline(v any) string {
	switch v := v.(type) {
	case nil:
		return "not set"
	case string:
		if v == job.Redacted || v == notKnown || v == "{ ... }" {
			return v
		}
		return quoted(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = inline(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]any:
		parts := make([]string, 0, len(v))
		for _, key := range sortedKeys(v) {
			parts = append(parts, printable(key)+" = "+inline(v[key]))
		}
		if len(parts) == 0 {
			return "{}"
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return fmt.Sprint(v)
}

// quoted is a string in quotes; other scripts stay readable.
func quoted(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `"` + printable(s) + `"`
	}
	return printable(strings.TrimSuffix(b.String(), "\n"))
}

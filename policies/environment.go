package policies

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// environment is what is known of a task's variables before it runs: its env
// block, and the templates with env = true, which win over it.
type environment struct {
	path  job.Path          // of the env block
	block map[string]string // the env block
	made  map[string]made   // keys that stand in a template, whatever happens
	may   map[string]job.Path
	any   job.Path // a template whose keys are not known at all; nil for none
}

// made is a variable that a template sets.
type made struct {
	value string
	known bool // the value too stands in the template
	path  job.Path
}

type presence int

const (
	absent presence = iota
	present
	cannotTell
)

func environmentOf(t *api.Task, task job.Path) *environment {
	e := &environment{path: task.Attr("env"), block: t.Env}
	for i, tmpl := range t.Templates {
		if tmpl != nil && tmpl.Envvars != nil && *tmpl.Envvars {
			if e.made == nil {
				e.made, e.may = map[string]made{}, map[string]job.Path{}
			}
			e.template(tmpl, task.Elem("template", i))
		}
	}
	return e
}

// has: a value that is empty counts as absent.
func (e environment) has(key string) presence {
	m, ok := e.made[key]
	switch {
	case ok && m.known && m.value == "": // it wins over the block
	case ok, e.block[key] != "":
		return present
	}
	if e.mayMake(key) {
		return cannotTell
	}
	return absent
}

func (e environment) mayMake(key string) bool {
	_, ok := e.may[key]
	return ok || e.any != nil
}

func (e *environment) template(t *api.Template, path job.Path) {
	if t.EmbeddedTmpl == nil || *t.EmbeddedTmpl == "" {
		e.any = path // its text is a file of the allocation
		return
	}
	path = path.Attr("data")
	for _, line := range linesOf(*t.EmbeddedTmpl, delimiter(t.LeftDelim, "{{"), delimiter(t.RightDelim, "}}")) {
		e.line(line, path)
	}
}

func delimiter(d *string, byDefault string) string {
	if d == nil || *d == "" {
		return byDefault
	}
	return *d
}

// line reads KEY=VALUE as Nomad does when the template has been rendered.
func (e *environment) line(l templateLine, path job.Path) {
	text := strings.TrimSpace(l.text)
	if text == "" || text[0] == '#' {
		return
	}
	key, value, isPair := strings.Cut(text, "=")
	key = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(key), "export "))
	switch {
	case strings.Contains(key, output):
		e.any = path
	case !isPair:
	case l.conditional:
		e.may[key] = path
	default:
		e.made[key] = made{unquote(strings.TrimSpace(value)), !strings.Contains(value, output), path}
	}
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '\'' && s[len(s)-1] == '\'' {
		return s[1 : len(s)-1]
	}
	if inner, err := strconv.Unquote(s); err == nil && s[0] == '"' {
		return inner
	}
	return s
}

// output stands in a line where an action writes something at run time.
const output = "\x00"

// templateLine is one line of a template's output as far as it is known.
type templateLine struct {
	text        string
	conditional bool // it begins inside an if, range, with, ...
}

// linesOf lays a template out without running it: actions that write nothing
// vanish with the white space that they trim, others leave output behind.
func linesOf(text, left, right string) []templateLine {
	l := layout{lines: []templateLine{{}}}
	for text != "" {
		before, rest, found := strings.Cut(text, left)
		trims := strings.HasPrefix(rest, "- ") || strings.HasPrefix(rest, "-\n")
		l.write(before, found && trims)
		action, after, closed := strings.Cut(rest, right)
		if !found || !closed {
			break
		}
		l.action(strings.TrimPrefix(action, "-"))
		if strings.HasSuffix(action, "-") {
			after = strings.TrimLeft(after, " \t\r\n")
		}
		text = after
	}
	return l.lines
}

type layout struct {
	lines []templateLine
	depth int
}

func (l *layout) write(text string, trim bool) {
	if trim {
		text = strings.TrimRight(text, " \t\r\n")
	}
	for i, part := range strings.Split(text, "\n") {
		if i > 0 {
			l.lines = append(l.lines, templateLine{})
		}
		last := &l.lines[len(l.lines)-1]
		if last.text == "" && part != "" {
			last.conditional = l.depth > 0
		}
		last.text += part
	}
}

func (l *layout) action(a string) {
	word, _, _ := strings.Cut(strings.TrimSpace(strings.TrimSuffix(a, "-")), " ")
	switch {
	case word == "if", word == "range", word == "with", word == "define", word == "block":
		l.depth++
	case word == "end":
		l.depth = max(0, l.depth-1)
	case word == "", word == "else", word == "break", word == "continue", strings.HasPrefix(word, "/*"), assignment.MatchString(a):
	default:
		l.write(output, false)
	}
}

// assignment: {{ $x := ... }} and {{ $x = ... }} write nothing.
var assignment = regexp.MustCompile(`^\s*\$\w+(\s*,\s*\$\w+)*\s*:?=`)

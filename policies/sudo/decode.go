package sudo

import (
	"bytes"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// quoting is where in a script a stretch of text stands.
type quoting int

const (
	unquoted quoting = iota
	inDouble
	inSingle
	inDocument
)

// decoder reads quotes and escapes of a script's words. It goes by the source, so
// that every byte of the word knows where it stands.
type decoder struct {
	builder
	script *text
	braces bool // the word may be one of several, {a,b}
	end    int  // of the word in the script
	open   int  // the length of the text with the first bracket that another part closes; 0 for none
}

func offset(p syntax.Pos) int { return int(p.Offset()) }

func (d *decoder) part(p syntax.WordPart, q quoting) {
	from, to := offset(p.Pos()), offset(p.End())
	switch p := p.(type) {
	case *syntax.Lit:
		d.literal(from, to, q)
	case *syntax.SglQuoted:
		d.single(p, from, to)
	case *syntax.DblQuoted:
		for _, sub := range p.Parts {
			d.part(sub, inDouble)
		}
	default:
		d.opaque(from, to, isMulti(p, q))
	}
}

// single: an escape in $'...' may stand for anything.
func (d *decoder) single(p *syntax.SglQuoted, from, to int) {
	if !p.Dollar {
		d.literal(from+1, to-1, inSingle)
		return
	}
	if strings.Contains(d.script.s[from+2:to-1], `\`) {
		d.opaque(from, to, false)
		return
	}
	d.literal(from+2, to-1, inSingle)
}

// isMulti: "$@" and "${a[@]}" are as many words as there are.
func isMulti(p syntax.WordPart, q quoting) bool {
	e, ok := p.(*syntax.ParamExp)
	if !ok || e.Length {
		return false
	}
	if e.Param != nil && (e.Param.Value == "@" || e.Param.Value == "*" && q == unquoted) {
		return true
	}
	w, ok := e.Index.(*syntax.Word)
	return ok && (w.Lit() == "@" || w.Lit() == "*" && q == unquoted)
}

func (d *decoder) opaque(from, to int, multi bool) {
	at := d.script.sourceOf(from, to)
	d.add(placeholder, char{start: at.start, end: at.end, opaque: true, multi: multi})
}

// literal reads the bytes [from, to) of the script.
func (d *decoder) literal(from, to int, q quoting) {
	t := d.script
	for i := from; i < to; i++ {
		c := t.s[i]
		switch {
		case t.chars[i].opaque:
			d.copy(i)
		case c == '\\' && i+1 < to && t.s[i+1] == '\n' && q != inSingle:
			i++
		case c == '\\' && i+1 < to && !t.isOpaque(i+1) && escapes(t.s[i+1], q):
			at := t.sourceOf(i, i+2)
			i++
			d.add(t.s[i], char{start: at.start, end: at.end})
		case q == unquoted && (c == '*' || c == '?' || c == '[' && strings.Contains(t.s[i:max(i, d.end)], "]")):
			i += d.pattern(i, to, c, ']', false)
		case q == unquoted && c == '{' && d.braces && expandsBraces(t.s[i:d.end]):
			i += d.pattern(i, to, '{', '}', true)
		default:
			d.copy(i)
		}
	}
}

// pattern reads what a shell makes other words of, and gives the bytes after the
// first that belong to it.
func (d *decoder) pattern(from, to int, left, right byte, multi bool) int {
	more := 0
	if left == '[' || left == '{' {
		more = closing(d.script.s[from:to], left, right) - 1
		if more == 0 && d.open == 0 {
			d.open = len(d.s) + 1
		}
	}
	d.opaque(from, from+more+1, multi)
	return more
}

// word is what was read. Where brackets reach over quotes, s["u"]do, nobody knows
// what follows them.
func (d *decoder) word() text {
	if d.open > 0 {
		d.chars[d.open-1].end = d.chars[len(d.chars)-1].end
		d.s, d.chars = d.s[:d.open], d.chars[:d.open]
	}
	return d.text()
}

func (d *decoder) copy(i int) { d.add(d.script.s[i], d.script.chars[i]) }

// escapes: whether a backslash before c is read as one.
func escapes(c byte, q quoting) bool {
	switch q {
	case unquoted:
		return true
	case inDouble:
		return strings.IndexByte("$`\"\\", c) >= 0
	case inDocument:
		return strings.IndexByte("$`\\", c) >= 0
	}
	return false
}

// closing is the length of what stands in brackets at the start of s; 1 where it
// is something else, or does not end here.
func closing(s string, left, right byte) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case left:
			depth++
		case right:
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return 1
}

func expandsBraces(s string) bool {
	end := strings.IndexByte(s, '}')
	return end > 0 && (strings.Contains(s[:end], ",") || strings.Contains(s[:end], ".."))
}

// hereDocument reads the body of one. With a quoted delimiter nothing in it is
// expanded; <<- takes the tabs that lines begin with.
func (d *decoder) hereDocument(r *syntax.Redirect) {
	q := inDocument
	if isQuoted(d.script.s[offset(r.Word.Pos()):offset(r.Word.End())]) {
		q = inSingle
	}
	for _, p := range r.Hdoc.Parts {
		if lit, ok := p.(*syntax.Lit); ok {
			d.literal(offset(lit.Pos()), offset(lit.End()), q)
			continue
		}
		d.part(p, inDocument)
	}
	if r.Op == syntax.DashHdoc {
		d.withoutTabs()
	}
}

func isQuoted(delimiter string) bool { return strings.ContainsAny(delimiter, `"'\`) }

func (d *decoder) withoutTabs() {
	out := builder{root: d.root}
	for i, c := range d.s {
		if c == '\t' && !d.chars[i].opaque && len(bytes.Trim(out.s[bytes.LastIndexByte(out.s, '\n')+1:], "\t")) == 0 {
			continue
		}
		out.add(c, d.chars[i])
	}
	d.builder = out
}

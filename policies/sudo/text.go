package sudo

import "strings"

// text is what a program gets to see of a string that it was given: with quotes
// and escapes of the shells around it read, and a placeholder for each part that
// is made at run time. Every byte knows where in the given string it comes from.
type text struct {
	s     string
	chars []char
	root  *root
}

// root is a string as it was given: an element of an argument list, or a script.
type root struct {
	index int
	src   string
}

// char is where one byte of a text comes from.
type char struct {
	start, end int  // in the root's string
	opaque     bool // it stands for what is made at run time
	multi      bool // and that may be several words, whatever the quotes
}

// placeholder stands in a text for what is made at run time: a letter that means
// nothing to a shell or to sudo.
const placeholder = '_'

// span is the bytes [start, end) of a string.
type span struct{ start, end int }

// newText is a whole string, with the spans that masked names as its opaque parts.
// Blank ones leave nothing behind when the script is rendered.
func newText(r *root, masked []mask) text {
	b := builder{root: r}
	at := 0
	for _, m := range masked {
		b.plain(at, m.start)
		if m.blank {
			b.add(' ', char{start: m.start, end: m.end, opaque: true})
		} else {
			b.add(placeholder, char{start: m.start, end: m.end, opaque: true})
		}
		at = m.end
	}
	b.plain(at, len(r.src))
	return b.text()
}

type mask struct {
	span
	blank bool
}

// builder puts a text together.
type builder struct {
	root  *root
	s     []byte
	chars []char
}

func (b *builder) add(c byte, from char) {
	b.s = append(b.s, c)
	b.chars = append(b.chars, from)
}

func (b *builder) plain(start, end int) {
	for i := start; i < end; i++ {
		b.add(b.root.src[i], char{start: i, end: i + 1})
	}
}

func (b *builder) text() text { return text{string(b.s), b.chars, b.root} }

// join is several texts of one root as one, with blanks between, as eval and echo
// read their arguments.
func join(parts []word) text {
	b := builder{root: parts[0].root}
	for i, p := range parts {
		if i > 0 {
			b.add(' ', char{start: parts[i-1].source().end, end: p.source().start})
		}
		b.s = append(b.s, p.s...)
		b.chars = append(b.chars, p.chars...)
	}
	return b.text()
}

// after is the text from byte i on.
func (t text) after(i int) text { return text{t.s[i:], t.chars[i:], t.root} }

func (t text) isOpaque(i int) bool { return i < len(t.chars) && t.chars[i].opaque }

func (t text) opaqueWithin(start, end int) bool {
	for i := start; i < end; i++ {
		if t.chars[i].opaque {
			return true
		}
	}
	return false
}

func (t text) isMulti() bool {
	for _, c := range t.chars {
		if c.multi {
			return true
		}
	}
	return false
}

// isPath: what is made at run time is a folder, and no option can follow.
func (t text) isPath() bool {
	return len(t.s) > 1 && t.s[1] == '/' && !t.chars[1].opaque && !t.chars[0].multi
}

// name is the last part of a command's path, as far as it is known.
func (t text) name() (string, bool) {
	i := len(t.s)
	for i > 0 && (t.s[i-1] != '/' || t.chars[i-1].opaque) {
		i--
	}
	return t.s[i:], !t.opaqueWithin(i, len(t.s))
}

// couldBe: what is known of a command's name agrees with that name.
func (t text) couldBe(name string) bool {
	tail, _ := t.name()
	known := t.after(len(t.s) - len(tail))
	i, k := 0, len(tail)
	for i < len(tail) && !known.chars[i].opaque {
		i++
	}
	for k > i && !known.chars[k-1].opaque {
		k--
	}
	return strings.HasPrefix(name, tail[:i]) && strings.HasSuffix(name, tail[k:])
}

// sourceOf are the root's bytes that the text's bytes [start, end) come from.
func (t text) sourceOf(start, end int) span {
	if start == end { // a place, as that of a mistake
		at := 0
		if start < len(t.chars) {
			at = t.chars[start].start
		} else if start > 0 {
			at = t.chars[start-1].end
		}
		return span{at, at}
	}
	return span{t.chars[start].start, t.chars[end-1].end}
}

// word is one argument of a command.
type word struct {
	text
	script   *text // the script that it stands in; nil for an element of an argument list
	from, to int   // its bytes there, quotes and all
	ref      reference
	list     *list // that it came out of; nil where it stands itself
	use      *word // what stands for the list
}

// opaque is a word that stands in the same place, and is made at run time.
func (w word) opaque() word {
	at := w.source()
	w.text = text{string(placeholder), []char{{start: at.start, end: at.end, opaque: true, multi: true}}, w.root}
	return w
}

// mayBeOption: at run time the word may turn out to be an option, or another one.
func (w word) mayBeOption() bool {
	begins := w.isOpaque(0) && !w.isPath() && !strings.HasPrefix(w.shown(), "<(") // which is a file
	return begins || strings.HasPrefix(w.s, "-") && w.opaqueWithin(0, len(w.s))
}

// source is where the word stands in its root.
func (w word) source() span {
	if w.script == nil {
		return span{0, len(w.root.src)}
	}
	return w.script.sourceOf(w.from, w.to)
}

// shown is the word as it stands in its script.
func (w word) shown() string {
	s := w.source()
	return w.root.src[s.start:s.end]
}

// worthReading: a script without sudo is parsed only if something in it may turn
// out to be sudo, and something else asks for the environment.
func (t text) worthReading() bool {
	if mentionsSudo(t.root.src) || mentionsSudo(t.s) {
		return true
	}
	return mayAsk(t.s) && (expands(t.s) || t.opaqueWithin(0, len(t.s)))
}

// expands: a shell, or printf for it, makes something else of a part of the text.
func expands(s string) bool { return strings.ContainsAny(s, "$`*?[{(\\%") }

// mayAsk is a cheap first look for an option that asks for the environment: an E
// or what --preserve-env begins with, in a word that begins with a dash.
func mayAsk(s string) bool {
	for i := range len(s) {
		if s[i] == '-' && (i == 0 || !inName(s[i-1])) && asksAt(s[i+1:]) {
			return true
		}
	}
	return false
}

func asksAt(option string) bool {
	const long = "-pre"
	matched := 0
	for i := range len(option) {
		switch c := option[i]; {
		case c == 'E':
			return true
		case isQuoting(c):
		case c <= ' ':
			return false
		case matched >= 0 && c == long[matched]:
			if matched++; matched == len(long) {
				return true
			}
		default:
			matched = -1
		}
		if matched < 0 && i > 0 && option[0] == '-' { // a long option of another name
			return false
		}
	}
	return false
}

func isQuoting(c byte) bool { return c == '\'' || c == '"' || c == '\\' }

// mentionsSudo reports whether a text has to do with sudo at all, however it is
// quoted. A word that begins like it and is finished at run time, su$X, has.
func mentionsSudo(s string) bool {
	for i := 0; i+3 <= len(s); i++ {
		if c := s[i]; c != 's' && c != 'S' {
			continue
		}
		if end, partly := spellsSudo(s[i:]); end > 0 || partly && (i == 0 || !isLetter(s[i-1])) {
			return true
		}
	}
	return false
}

// spellsSudo is how many bytes at the start of a text spell sudo, 0 for none.
// Partly: what follows two or three of its letters is made at run time.
func spellsSudo(s string) (end int, partly bool) {
	const name = "sudo"
	k := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20 == name[k]:
			if k++; k == len(name) {
				return i + 1, false
			}
		case isQuoting(c) || c == '\n' && i > 0 && s[i-1] == '\\':
		case c == '$' && i+1 < len(s) && isQuoting(s[i+1]):
		default:
			return 0, k > 1 && strings.IndexByte("$`*?[{@+!", c) >= 0
		}
	}
	return 0, false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// inOrder: the words stand in the source in this order, so that they can be joined.
func inOrder(words []word) bool {
	for i := 1; i < len(words); i++ {
		if words[i-1].root != words[i].root || words[i-1].source().end > words[i].source().start {
			return false
		}
	}
	return true
}

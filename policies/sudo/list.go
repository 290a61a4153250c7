package sudo

import (
	"slices"

	"mvdan.cc/sh/v3/syntax"
)

// list is words that stand in the source, and later on somewhere else as one word:
// an array's, or those of $@.
type list struct {
	words []word
	of    *values
}

// values is what a name stands for, as far as it is known.
type values struct {
	lists   []*list
	inexact bool // it may be something else as well
	calls   bool // every list is one that is really used, as those of a function's calls
	more    bool // than can be followed
}

// uncertain: which list is meant where the name stands only shows at run time.
func (l *list) uncertain() bool {
	return l != nil && !l.of.calls && (l.of.inexact || len(l.of.lists) > 1)
}

// reference is a word that stands for a list, or for one word of it.
type reference struct {
	name  string // empty for none
	nth   int    // from 1; 0 for all
	whole bool   // the words as they are: no ${a[@]:1}
}

const (
	positional = "@"     // with a function's name, its own
	zeroth     = "0"     // $0
	maxLines   = 256     // that one command may turn out to be
	maxNesting = 4       // of lists in lists
	maxSteps   = 512     // of one expansion
	maxRead    = 1 << 11 // lines in all, for lists may hold scripts that use lists
)

// values is what is known of a name, to be added to.
func (a *analysis) values(name string) *values {
	if a.lists == nil {
		a.lists = map[string]*values{}
	}
	if a.lists[name] == nil {
		a.lists[name] = &values{}
	}
	return a.lists[name]
}

func (v *values) add(words []word) {
	if len(v.lists) == maxLines {
		v.inexact, v.more = true, true
		return
	}
	v.lists = append(v.lists, &list{words: words, of: v})
}

// extend is a+=(...): it may or may not happen, to whatever the array was.
func (v *values) extend(words []word) {
	v.inexact = true
	if len(v.lists) == 0 {
		v.add(words)
		return
	}
	for _, l := range v.lists {
		l.words = slices.Concat(l.words, words)
	}
}

// withPositional is what a script of its own knows at its start: the words after it.
func withPositional(args []word) map[string]*values {
	if len(args) == 0 {
		return nil
	}
	a := &analysis{}
	a.values(zeroth).add(args[:1])
	if len(args) > 1 {
		a.values(positional).add(args[1:])
	}
	return a.lists
}

// listsSudo: a list that is known has sudo in it.
func (a *analysis) listsSudo() bool {
	for _, v := range a.lists {
		if slices.ContainsFunc(v.lists, func(l *list) bool { return mentionsAny(l.words) }) {
			return true
		}
	}
	return false
}

// expanded is every command line that the words may become; exact: there are no
// others. Without a known list among the words there is none.
func (a *analysis) expanded(words []word) (lines [][]word, exact bool) {
	if !slices.ContainsFunc(words, func(w word) bool { return a.known(w) != nil }) {
		return nil, false
	}
	if a.lines > maxRead {
		a.doubt(words[0], doubtDepth)
		return nil, false
	}
	a.steps = 0
	return a.expand(words, maxNesting)
}

func (a *analysis) known(w word) *values {
	if v := a.lists[w.ref.name]; w.ref.whole && v != nil && len(v.lists) > 0 {
		return v
	}
	return nil
}

func (a *analysis) expand(words []word, depth int) (lines [][]word, exact bool) {
	lines, exact = [][]word{nil}, true
	for _, w := range words {
		choices, sure := a.choices(w, depth)
		exact = exact && sure
		var longer [][]word
		for _, line := range lines {
			for _, c := range choices[:min(len(choices), maxLines-len(longer))] {
				longer = append(longer, slices.Concat(line, c))
			}
		}
		exact = exact && len(longer) == len(lines)*len(choices)
		lines = longer
	}
	return lines, exact
}

// choices is what one word may become.
func (a *analysis) choices(w word, depth int) (out [][]word, exact bool) {
	v := a.known(w)
	if v == nil {
		return [][]word{{w}}, true
	}
	if a.steps++; depth == 0 || a.steps > maxSteps {
		return [][]word{{w}}, false
	}
	exact = !v.inexact
	for _, l := range v.lists {
		words := l.words
		if n := w.ref.nth; n > len(words) {
			out, exact = append(out, []word{w}), false
			continue
		} else if n > 0 {
			words = words[n-1 : n]
		}
		lines, sure := a.expand(l.at(words, w), depth-1)
		out, exact = append(out, lines...), exact && sure
	}
	return out, exact
}

// at is words of the list where use stands.
func (l *list) at(words []word, use word) []word {
	out := slices.Clone(words)
	for i := range out {
		if out[i].list == nil {
			out[i].list, out[i].use = l, &use
		}
	}
	return out
}

// where is what stands for the word in its command.
func (w word) where() word {
	if w.use != nil {
		return *w.use
	}
	return w
}

// hides: a list that a word stands for has sudo and a demand in it, though not where
// they were looked for: after `shift`, in ${a[@]:1}, where a+=(...) may be left out, or
// where it goes on with a demand what is not known.
func (a *analysis) hides(w word) bool {
	v := a.lists[w.ref.name]
	if v == nil || a.told {
		return false
	}
	return v.more || slices.ContainsFunc(v.lists, func(l *list) bool {
		return v.inexact && len(l.words) > 0 && asksAlone(l.words[0]) || a.asksLater(l.words) || v.inexact && !v.calls && mentionsAny(l.words) && slices.ContainsFunc(l.words, asksAlone)
	})
}

func asksAlone(w word) bool { return len(readOptions([]word{w}).demands) > 0 }

// demandsAlone: the word asks for the environment, and is no mistyped option, or
// another program's.
func demandsAlone(w word) bool {
	return slices.ContainsFunc(readOptions([]word{w}).demands, func(d demand) bool { return d.fixed })
}

// referenceOf is what a word of a script stands for, if it is nothing else.
func (s *script) referenceOf(w *syntax.Word) reference {
	if len(w.Parts) != 1 {
		return reference{}
	}
	part := w.Parts[0]
	if q, ok := part.(*syntax.DblQuoted); ok && len(q.Parts) == 1 {
		part = q.Parts[0]
	}
	e, ok := part.(*syntax.ParamExp)
	if !ok || e.Param == nil || e.Length || e.Excl {
		return reference{}
	}
	ref := reference{name: e.Param.Value, whole: e.Slice == nil && e.Repl == nil && e.Exp == nil}
	switch name := ref.name; {
	case name == "@" || name == "*":
		ref.name = positional + s.functionAt(offset(w.Pos()))
	case name == zeroth:
	case len(name) == 1 && name[0] >= '1' && name[0] <= '9':
		ref.name, ref.nth = positional+s.functionAt(offset(w.Pos())), int(name[0]-'0')
	case !isAll(e.Index):
		return reference{}
	}
	return ref
}

func isAll(index syntax.ArithmExpr) bool {
	w, ok := index.(*syntax.Word)
	return ok && (w.Lit() == "@" || w.Lit() == "*")
}

// functionAt is the function that a byte of the script stands in, or empty.
func (s *script) functionAt(at int) string {
	name := ""
	for _, f := range s.functions {
		if offset(f.Pos()) <= at && at < offset(f.End()) {
			name = f.Name.Value // an inner one comes later
		}
	}
	return name
}

func (s *script) function(n syntax.Node) bool {
	if f, ok := n.(*syntax.FuncDecl); ok && f.Name != nil {
		s.functions = append(s.functions, f)
	}
	return true
}

func (s *script) isFunction(name string) bool { return s.functionNamed(name) != nil }

// functionNamed is the function of that name, the first of several, or nil.
func (s *script) functionNamed(name string) *syntax.FuncDecl {
	i := slices.IndexFunc(s.functions, func(f *syntax.FuncDecl) bool { return f.Name.Value == name })
	if i < 0 {
		return nil
	}
	return s.functions[i]
}

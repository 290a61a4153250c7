package sudo

import (
	"cmp"
	"slices"
	"strings"
)

// Found is one place that asks sudo to preserve the caller's environment, or of
// which that cannot be told.
type Found struct {
	Index      int     // of the element in the argument list; 0 in a script
	Start, End int     // the bytes in that string that Mend replaces, or that the doubt is about
	Arg        string  // the word as sudo gets it, such as -nE; for a doubt, as it stands
	Doubt      string  // what cannot be told, and why; empty for a demand
	Script     bool    // it stands in a shell script
	Whole      bool    // the element goes from the argument list
	Mend       *string // what takes the place of [Start, End); nil where no safe edit is known, or Whole
}

// Fixable reports whether an edit is known that takes the demand away.
func (f Found) Fixable() bool { return f.Whole || f.Mend != nil }

// InArgs reads an argument list, the command first. Nomad's runtime
// interpolations, ${...}, are taken for what nobody knows.
func InArgs(args []string) []Found {
	if len(args) == 0 || !slices.ContainsFunc(args, suspicious) {
		return nil
	}
	if !strings.ContainsAny(args[0], "$`{") && !Runs(args[0]) && !slices.ContainsFunc(args, mentionsSudo) {
		return nil
	}
	found := inArgs(args)
	if len(found) > 0 && !holds(found, inArgs(mendedArgs(args, found))) {
		takeEdits(found)
	}
	return found
}

func inArgs(args []string) []Found { return analysisOf(args).sorted() }

func analysisOf(args []string) *analysis {
	a := &analysis{}
	words := make([]word, len(args))
	for i, arg := range args {
		words[i] = word{text: newText(&root{index: i, src: arg}, interpolations(arg))}
	}
	a.command(words)
	return a
}

// Template is a file that is rendered before it is run.
type Template struct {
	Destination string // the file's name
	Data        string // what it is rendered from
	Left, Right string // what its actions stand between
	Executable  bool
}

// InTemplate reads a template that is a shell script: its first line names a
// shell, or its name ends like one's, or it may be executed and parses as one.
func InTemplate(t Template) []Found {
	script := isScript(t.Destination, t.Data)
	if !script && !t.Executable || !t.text().worthReading() || !script && !t.runsAsScript() {
		return nil
	}
	found := t.found()
	if len(found) > 0 {
		after := t
		if after.Data = mended(t.Data, found); !holds(found, after.found()) {
			takeEdits(found)
		}
	}
	return found
}

// runsAsScript: what is executed and names no interpreter is a script to a shell.
func (t Template) runsAsScript() bool {
	if !t.Executable || strings.HasPrefix(t.Data, "#!") {
		return false
	}
	file, _ := parse(t.text().s, bash)
	return file != nil
}

func (t Template) text() text { return newText(&root{src: t.Data}, actions(t.Data, t.Left, t.Right)) }

func (t Template) found() []Found {
	a := &analysis{}
	a.script(t.text(), dialectOf(t.Data))
	return a.sorted()
}

// suspicious is a cheap first look: a string that is not has nothing to be found.
func suspicious(s string) bool {
	return mentionsSudo(s) || strings.ContainsAny(s, "$`{") || expands(s) && mayAsk(s)
}

// holds: with the edits made there is nothing left to mend, and no doubt more.
func holds(before, after []Found) bool {
	doubts := 0
	for _, f := range after {
		if f.Fixable() {
			return false
		}
		if f.Doubt != "" {
			doubts++
		}
	}
	for _, f := range before {
		if f.Doubt != "" {
			doubts--
		}
	}
	return doubts <= 0
}

func takeEdits(found []Found) {
	for i := range found {
		found[i].Mend, found[i].Whole = nil, false
	}
}

// mended is a string with the edits made that lie in it.
func mended(s string, found []Found) string {
	for _, f := range slices.Backward(found) {
		if f.Mend != nil {
			s = s[:f.Start] + *f.Mend + s[f.End:]
		}
	}
	return s
}

func mendedArgs(args []string, found []Found) []string {
	var out []string
	for i, arg := range args {
		var own []Found
		for _, f := range found {
			if f.Index == i {
				own = append(own, f)
			}
		}
		if !slices.ContainsFunc(own, func(f Found) bool { return f.Whole }) {
			out = append(out, mended(arg, own))
		}
	}
	return out
}

// analysis gathers what is found on the way through commands and scripts.
type analysis struct {
	found    []Found
	calls    []Call             // of sudo, in the order in which they were read
	depth    int                // of scripts in scripts
	looks    int                // ahead, that this is within
	assigned map[string]given   // what a script makes of the names of variables and commands
	lists    map[string]*values // what arrays and $@ of the shell at hand hold
	wrote    map[string][]text  // what a script writes into files that are no scripts by their names
	steps    int                // of the expansion at hand
	lines    int                // that were read of what lists make of commands
	tellings int                // demands and doubts, those told before as well
	told     bool               // what the lists of the command at hand hold was told already
	doubted  map[[2]string]bool // doubts are told once for each script and word
}

// sorted is what was found in the order of the source. Edits do not reach into each
// other.
func (a *analysis) sorted() []Found {
	slices.SortStableFunc(a.found, func(x, y Found) int {
		return cmp.Or(cmp.Compare(x.Index, y.Index), cmp.Compare(x.Start, y.Start), cmp.Compare(x.End, y.End))
	})
	for i := 1; i < len(a.found); i++ {
		x, y := &a.found[i-1], &a.found[i]
		if x.Index != y.Index || x.Mend == nil || y.Mend == nil || y.Start >= x.End {
			continue
		}
		if *x.Mend+*y.Mend == "" && y.End >= x.End { // both take the blanks between them
			y.Start = x.End
		} else {
			y.Mend = nil
		}
	}
	return a.found
}

// ask notes a word that asks for the environment.
func (a *analysis) ask(asker, w word, d demand) {
	for _, from := range []word{w, asker} {
		if w.list != asker.list && from.list.uncertain() {
			a.doubt(from.where(), doubtOption)
			return
		}
	}
	a.tellings++
	d.fixed = d.fixed && (w.list == nil || w.list == asker.list) // others may use the list as well
	f := Found{Index: w.root.index, Arg: w.s, Script: w.script != nil}
	if w.opaqueWithin(0, len(w.s)) {
		f.Arg = w.shown()
	}
	at := w.source()
	f.Start, f.End = at.start, at.end
	switch {
	case !d.fixed:
	case w.script == nil && len(d.letters) == 0:
		f.Whole = true
	default:
		a.cut(&f, w, d)
	}
	if !slices.ContainsFunc(a.found, f.same) {
		a.found = append(a.found, f)
	}
}

// same: one word is found once, however many ways lead to it.
func (f Found) same(g Found) bool {
	return f.Index == g.Index && f.Start == g.Start && f.End == g.End && f.Doubt == g.Doubt && f.Whole == g.Whole &&
		(f.Mend == nil) == (g.Mend == nil) && (f.Mend == nil || *f.Mend == *g.Mend)
}

// cut finds the edit that takes a word, or letters of it, out of the string.
func (a *analysis) cut(f *Found, w word, d demand) {
	var gone []span
	switch {
	case len(d.letters) > 0:
		for _, i := range d.letters {
			gone = append(gone, w.sourceOf(i, i+1))
		}
	default:
		from, to := w.withGap()
		for i := from; i < to; i++ {
			gone = append(gone, w.script.sourceOf(i, i+1))
		}
	}
	f.Start, f.End = gone[0].start, gone[len(gone)-1].end
	var kept strings.Builder
	at := f.Start
	for _, g := range gone {
		kept.WriteString(w.root.src[at:max(at, g.start)])
		at = max(at, g.end)
	}
	f.Mend = new(kept.String())
}

// withGap is the word's place in its script with the blanks that go with it: those
// before, or where the word begins a line, those after and the line's end.
func (w word) withGap() (from, to int) {
	before, newLine := w.script.gapBefore(w.from)
	if after := w.script.gapAfter(w.to); newLine && after > w.to {
		return w.from, after
	}
	if w.to < len(w.script.s) && strings.IndexByte("<>", w.script.s[w.to]) >= 0 { // a number before would become its own
		return w.from, w.to
	}
	return before, w.to
}

// gapBefore is the start of the blanks before byte i, and whether a line that goes
// on ends among them.
func (t text) gapBefore(i int) (start int, newLine bool) {
	for i > 0 && !t.isOpaque(i-1) {
		switch {
		case isBlank(t.s[i-1]):
			i--
		case i > 1 && t.s[i-2:i] == "\\\n":
			newLine = true
			i -= 2
		default:
			return i, newLine
		}
	}
	return i, newLine
}

// gapAfter is the end of the blanks after byte i, if another word follows on the
// same command.
func (t text) gapAfter(i int) int {
	for end := i; end < len(t.s); {
		switch {
		case t.isOpaque(end) && t.s[end] == placeholder:
			return end
		case t.isOpaque(end):
			return i
		case isBlank(t.s[end]):
			end++
		case strings.HasPrefix(t.s[end:], "\\\n"):
			end += 2
		case strings.IndexByte("\r\n;&|()<>`#", t.s[end]) >= 0:
			return i
		default:
			return end
		}
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// doubt notes what cannot be told before run time.
func (a *analysis) doubt(w word, why string) {
	a.tellings++
	at := w.source()
	f := Found{Index: w.root.index, Start: at.start, End: at.end, Arg: w.shown(), Script: w.script != nil}
	key := [2]string{w.root.src, why + f.Arg}
	if a.doubted[key] {
		return
	}
	if a.doubted == nil {
		a.doubted = map[[2]string]bool{}
	}
	a.doubted[key] = true
	f.Doubt = why
	a.found = append(a.found, f)
}

package sudo

import (
	"errors"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// dialect is a kind of shell language.
type dialect int

const (
	bash dialect = iota // also what sh, dash and ash read
	zsh
	mksh
)

// shells are the names of shells and what they read.
var shells = map[string]dialect{
	"sh": bash, "bash": bash, "dash": bash, "ash": bash, "rbash": bash, "zsh": zsh, "ksh": mksh, "mksh": mksh,
}

// maxScript bounds what is parsed: the parser recurses, and nobody writes longer ones.
const maxScript = 1 << 18

// isScript reports whether a text that is written to destination is a shell
// script: its first line names a shell, or else its name ends like one's.
func isScript(destination, data string) bool {
	if strings.HasPrefix(data, "#!") {
		_, ok := interpreter(data)
		return ok
	}
	switch path.Ext(destination) {
	case ".sh", ".bash", ".zsh", ".dash", ".ash", ".ksh":
		return true
	}
	return false
}

// interpreter is the shell that a script's first line names.
func interpreter(script string) (dialect, bool) {
	line, ok := strings.CutPrefix(script, "#!")
	line, _, _ = strings.Cut(line, "\n")
	if !ok {
		return bash, false
	}
	for _, word := range strings.Fields(line) {
		name := path.Base(word)
		if d, ok := shells[name]; ok {
			return d, true
		}
		if name != "env" && name != "busybox" && name != "toybox" && name[0] != '-' && !isAssignment(name) {
			return bash, false
		}
	}
	return bash, false
}

func dialectOf(script string) dialect {
	d, _ := interpreter(script)
	return d
}

// script reads a shell script that a shell of its own runs, with the words after it:
// every command in it, wherever it stands.
func (a *analysis) script(t text, d dialect, args ...word) {
	outer := a.lists
	a.lists = withPositional(args)
	a.inner(t, d)
	a.lists = outer
}

// inner reads a script that the shell at hand runs itself.
func (a *analysis) inner(t text, d dialect) {
	if !t.worthReading() && len(a.assigned) == 0 && !a.listsSudo() {
		return
	}
	if a.depth >= maxDepth {
		a.doubtScript(t, 0, doubtDepth)
		return
	}
	a.depth++
	defer func() { a.depth-- }()
	file, at := parse(t.s, d)
	if file == nil {
		a.doubtScript(t, at, doubtParse)
		return
	}
	s := &script{analysis: a, text: &t}
	syntax.Walk(file, s.function)
	syntax.Walk(file, s.note)
	syntax.Walk(file, s.node)
}

// doubtScript is a doubt about a script as a whole, if sudo is in it.
func (a *analysis) doubtScript(t text, at int, why string) {
	if mentionsSudo(t.s) {
		at = min(at, len(t.s))
		a.doubt(word{text: t, script: &t, from: at, to: at}, why)
	}
}

// parse tries the shell's own language first: sh is bash here and there, and zsh
// reads most of both. It gives the byte where the parser gave up.
func parse(s string, d dialect) (file *syntax.File, failed int) {
	if len(s) > maxScript {
		return nil, 0
	}
	languages := []syntax.LangVariant{syntax.LangBash, syntax.LangPOSIX}
	switch d {
	case zsh:
		languages = []syntax.LangVariant{syntax.LangZsh, syntax.LangBash}
	case mksh:
		languages = []syntax.LangVariant{syntax.LangMirBSDKorn, syntax.LangBash}
	}
	for _, l := range languages {
		file, err := syntax.NewParser(syntax.Variant(l)).Parse(strings.NewReader(s), "")
		if err == nil {
			return file, 0
		}
		failed = max(failed, failedAt(err))
	}
	return nil, failed
}

func failedAt(err error) int {
	var mistake syntax.ParseError
	if errors.As(err, &mistake) {
		return offset(mistake.Pos)
	}
	return 0
}

// script is one script on the way through it.
type script struct {
	*analysis
	text      *text
	functions []*syntax.FuncDecl
}

func (s *script) node(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.DeclClause:
		if n.Variant.Value == "export" {
			s.handAssigned(n.Args)
		}
	case *syntax.Stmt:
		s.statement(n)
	case *syntax.BinaryCmd:
		if n.Op == syntax.Pipe || n.Op == syntax.PipeAll {
			s.pipe(n)
		}
	}
	return true
}

// statement reads a simple command, and what it is fed.
func (s *script) statement(stmt *syntax.Stmt) {
	s.redirected(stmt)
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok {
		return
	}
	s.processes(call)
	words := s.words(call)
	in := s.call(words)
	if !in.inert && len(words) > 0 {
		s.handAssigned(call.Assigns)
	}
	for _, r := range stmt.Redirs {
		body, ok := s.body(r)
		switch {
		case r.Op == syntax.RdrIn && in.script:
			s.process(r.Word, destination{dialect: in.dialect})
		case !ok:
		case in.script:
			s.script(body, in.dialect)
		case s.writesScript(stmt, words, body.s):
			s.script(body, dialectOf(body.s))
		case !in.inert && len(words) > 0:
			s.hand(body, words[0])
		}
	}
}

// call reads a command as it stands, and as what its lists may make of it.
func (s *script) call(words []word) input {
	lines, exact := s.expanded(words)
	if lines == nil {
		return s.command(words)
	}
	if len(lines) > 1 || s.depth > 1 {
		s.lines += len(lines)
	}
	var in input
	before := s.tellings
	for _, line := range lines {
		if got := s.command(line); !in.script {
			in = got
		}
	}
	if exact {
		return in
	}
	s.told = s.tellings > before
	got := s.command(words)
	s.told = false
	if got.script {
		in = got
	}
	return in
}

// script in a script: the text of one is made of the other.
func (s *script) script(t text, d dialect) { s.analysis.script(t, d) }

// dry is what a statement does with its input; nothing is noted.
func (s *script) dry(stmt *syntax.Stmt) input {
	if slices.ContainsFunc(stmt.Redirs, isInput) {
		return input{inert: true}
	}
	call, ok := stmt.Cmd.(*syntax.CallExpr)
	if !ok {
		return s.dryInside(stmt)
	}
	inner := &analysis{depth: maxDepth, looks: maxLooks} // reads no scripts
	return inner.command(s.words(call))
}

// dryInside: a block, a loop and their like hand their input to what is in them.
func (s *script) dryInside(outer *syntax.Stmt) input {
	in := input{inert: true}
	syntax.Walk(outer, func(n syntax.Node) bool {
		if stmt, ok := n.(*syntax.Stmt); ok && stmt != outer && !in.script {
			if _, isCall := stmt.Cmd.(*syntax.CallExpr); isCall {
				if got := s.dry(stmt); got.script {
					in = got
				}
			}
		}
		return !in.script
	})
	return in
}

func isInput(r *syntax.Redirect) bool {
	switch r.Op {
	case syntax.RdrIn, syntax.Hdoc, syntax.DashHdoc, syntax.WordHdoc:
		return r.N == nil || r.N.Value == "0"
	}
	return false
}

// body is what a here-document or here-string feeds.
func (s *script) body(r *syntax.Redirect) (text, bool) {
	switch {
	case !isInput(r) || r.Op == syntax.RdrIn:
		return text{}, false
	case r.Op == syntax.WordHdoc:
		return s.word(r.Word).text, true
	case r.Hdoc == nil:
		return text{}, false
	}
	d := decoder{script: s.text, builder: builder{root: s.text.root}}
	d.hereDocument(r)
	return d.text(), true
}

func (s *script) words(call *syntax.CallExpr) []word {
	words := make([]word, len(call.Args))
	for i, w := range call.Args {
		words[i] = s.word(w)
	}
	return words
}

// word is what a command gets of a word.
func (s *script) word(w *syntax.Word) word {
	d := decoder{script: s.text, builder: builder{root: s.text.root}}
	d.braces = strings.Contains(s.text.s[offset(w.Pos()):offset(w.End())], "{")
	d.end = offset(w.End())
	for _, p := range w.Parts {
		d.part(p, unquoted)
	}
	return word{text: d.word(), script: s.text, from: offset(w.Pos()), to: offset(w.End()), ref: s.referenceOf(w)}
}

// splitString reads the value of env -S, which has words and quotes much as a
// shell has, and the arguments that follow it.
func (a *analysis) splitString(t text, after []word) {
	if a.depth >= maxDepth {
		a.doubtScript(t, 0, doubtDepth)
		return
	}
	a.depth++
	defer func() { a.depth-- }()
	file, at := parse(t.s, bash)
	if file == nil || len(file.Stmts) != 1 {
		a.doubtScript(t, at, doubtParse)
		return
	}
	call, ok := file.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok {
		return
	}
	s := &script{analysis: a, text: &t}
	words := append(s.words(call), after...)
	for len(words) > 0 && len(words[0].s) > 1 && words[0].s[0] == '-' { // options of env's own
		words = words[1:]
	}
	a.command(words)
}

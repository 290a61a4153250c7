package sudo

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// destination is where what a command writes is read as a script: by a shell of
// that dialect, or, with names, as a file under one of them.
type destination struct {
	dialect dialect
	names   []word
	reader  *word // a command that may run what it reads
}

// pipe reads what a command hands to a shell, or to tee.
func (s *script) pipe(n *syntax.BinaryCmd) {
	reader := s.dry(n.Y)
	if reader.script {
		s.written(n.X, destination{dialect: reader.dialect})
		return
	}
	call, ok := n.Y.Cmd.(*syntax.CallExpr)
	if !ok {
		return
	}
	words := s.words(call)
	if names := s.files(n.Y, words); len(names) > 0 {
		s.written(n.X, destination{names: names})
	} else if !reader.inert && len(words) > 0 {
		s.written(n.X, destination{reader: &words[0]})
	}
}

// redirected reads what a command writes into a file.
func (s *script) redirected(stmt *syntax.Stmt) {
	if names := s.outputs(stmt); len(names) > 0 {
		s.written(stmt, destination{names: names})
	}
}

// processes reads what `source <(...)` and `sh <(...)` get.
func (s *script) processes(call *syntax.CallExpr) {
	if len(call.Args) < 2 {
		return
	}
	name := path.Base(call.Args[0].Lit())
	d, isShell := shells[name]
	if !isShell && name != "source" && name != "." {
		return
	}
	for _, arg := range call.Args[1:] {
		s.process(arg, destination{dialect: d})
	}
}

// process reads what <(...) gives.
func (s *script) process(w *syntax.Word, to destination) {
	for _, p := range w.Parts {
		if p, ok := p.(*syntax.ProcSubst); ok && p.Op == syntax.CmdIn {
			s.allWritten(p.Stmts, to)
		}
	}
}

func (s *script) allWritten(stmts []*syntax.Stmt, to destination) {
	for _, stmt := range stmts {
		s.written(stmt, to)
	}
}

// written reads what a statement writes, as far as it shows.
func (s *script) written(stmt *syntax.Stmt, to destination) {
	switch cmd := stmt.Cmd.(type) {
	case *syntax.CallExpr:
		s.writtenBy(stmt, cmd, to)
	case *syntax.Block:
		s.allWritten(cmd.Stmts, to)
	case *syntax.Subshell:
		s.allWritten(cmd.Stmts, to)
	case *syntax.BinaryCmd:
		if cmd.Op == syntax.AndStmt || cmd.Op == syntax.OrStmt {
			s.allWritten([]*syntax.Stmt{cmd.X, cmd.Y}, to)
			return
		}
		s.unread(stmt, to)
	default:
		s.unread(stmt, to)
	}
}

func (s *script) writtenBy(stmt *syntax.Stmt, call *syntax.CallExpr, to destination) {
	words := s.words(call)
	if len(words) == 0 {
		return
	}
	switch name, _ := words[0].name(); {
	case name == "echo" && len(words) > 1:
		s.deliver(unescaped(join(echoed(words[1:])), false), to)
	case name == "printf" && len(words) > 1:
		s.printed(words[1:], to)
	case name == "cat" && len(words) == 1:
		for _, r := range stmt.Redirs {
			if body, ok := s.body(r); ok {
				s.deliver(body, to)
			}
		}
	case s.isFunction(name):
		s.unread(s.functionNamed(name).Body, to)
	case name != "sudo":
		s.unread(stmt, to)
	}
}

// unread: a command that is not understood writes a script for a shell, out of
// words that may ask for the environment.
func (s *script) unread(stmt *syntax.Stmt, to destination) {
	if source := s.source(stmt); len(to.names) == 0 && to.reader == nil && mentionsSudo(source) && mayAsk(source) {
		s.doubt(word{text: *s.text, script: s.text, from: offset(stmt.Pos()), to: offset(stmt.End())}, doubtCommand)
	}
}

func (s *script) deliver(t text, to destination) {
	if to.reader != nil {
		s.hand(t, *to.reader)
	} else if len(to.names) == 0 {
		s.script(t, to.dialect)
	} else if slices.ContainsFunc(to.names, func(w word) bool { return isScript(w.s, t.s) }) {
		s.script(t, dialectOf(t.s))
	} else {
		s.keep(t, to.names)
	}
}

// keep keeps what is written into files, which may be run later on.
func (s *script) keep(t text, names []word) {
	const most = 64 // texts of one name
	if s.wrote == nil {
		s.wrote = map[string][]text{}
	}
	for _, w := range names {
		if name := w.fileName(); len(s.wrote[name]) < most {
			s.wrote[name] = append(s.wrote[name], t)
		}
	}
}

// hand gives a text to a command that may run it.
func (s *script) hand(t text, reader word) {
	if t.asksInside() {
		s.doubt(reader, doubtCommand)
	}
}

// handAssigned: programs run what stands in their variables, such as GIT_SSH_COMMAND.
func (s *script) handAssigned(assigns []*syntax.Assign) {
	for _, n := range assigns {
		if n.Value != nil {
			value := s.word(n.Value)
			s.hand(value.text, value)
		}
	}
}

// printed reads what printf makes of its format and of each of its arguments.
func (s *script) printed(args []word, to destination) {
	if args[0].s == "--" && len(args) > 1 {
		args = args[1:]
	}
	format := unescaped(args[0].text, true)
	s.deliver(format, to)
	for _, arg := range args[1:] {
		s.deliver(arg.text, to)
	}
	if len(args) > 2 && strings.Count(args[0].s, "%") > 1 {
		s.deliver(join(args[1:]), to)
	}
}

// unescaped reads the escapes of echo and printf. A verb of printf's may become
// anything.
func unescaped(t text, verbs bool) text {
	if !strings.Contains(t.s, `\`) && !(verbs && strings.Contains(t.s, "%")) {
		return t
	}
	b := builder{root: t.root}
	for i := 0; i < len(t.s); i++ {
		from := t.chars[i]
		if i+1 == len(t.s) || from.opaque || t.chars[i+1].opaque || t.s[i] != '\\' && (!verbs || t.s[i] != '%') {
			b.add(t.s[i], from)
			continue
		}
		both := char{start: from.start, end: t.chars[i+1].end}
		next := t.s[i : i+2]
		switch {
		case next == `\n` || next == `\t`:
			b.add(map[byte]byte{'n': '\n', 't': '\t'}[next[1]], both)
		case next == `\\` || next == "%%":
			b.add(next[1], both)
		case next[0] == '%' || strings.IndexByte("x0123456789uU", next[1]) >= 0:
			both.opaque = true
			for next[0] == '\\' && i+2 < len(t.s) && !t.chars[i+2].opaque && isHex(t.s[i+2]) {
				i++
				both.end = t.chars[i+1].end
			}
			b.add(placeholder, both)
		default:
			b.add(t.s[i], from)
			continue
		}
		i++
	}
	return b.text()
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

func echoed(args []word) []word {
	for len(args) > 1 && len(args[0].s) == 2 && args[0].s[0] == '-' {
		args = args[1:]
	}
	return args
}

// writesScript: a here-document goes into a file, by cat or tee, that is a shell
// script.
func (s *script) writesScript(stmt *syntax.Stmt, words []word, body string) bool {
	return slices.ContainsFunc(s.files(stmt, words), func(w word) bool { return isScript(w.s, body) })
}

// files are the names of what cat or tee write their input to.
func (s *script) files(stmt *syntax.Stmt, words []word) []word {
	if len(words) == 0 {
		return nil
	}
	name, _ := words[0].name()
	if name != "cat" && name != "tee" && name != "sudo" {
		return nil
	}
	return slices.Concat(words[1:], s.outputs(stmt))
}

// outputs are the names of the files that a statement's output goes to.
func (s *script) outputs(stmt *syntax.Stmt) []word {
	var out []word
	for _, r := range stmt.Redirs {
		if r.Op == syntax.RdrOut || r.Op == syntax.AppOut || r.Op == syntax.RdrClob {
			out = append(out, s.word(r.Word))
		}
	}
	return out
}

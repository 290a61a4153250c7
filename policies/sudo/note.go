package sudo

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// given is what a name may stand for.
type given int

const (
	asText    given = 1 << iota // a variable: a value with sudo in it
	asList                      // an array with sudo in it
	asDemand                    // a variable: a value with a demand in it
	asCommand                   // a command: sudo by another name
)

// note keeps what names may stand for, before the commands are read.
func (s *script) note(n syntax.Node) bool {
	switch n := n.(type) {
	case *syntax.Assign:
		s.assignment(n)
	case *syntax.ParamExp:
		s.defaulted(n)
	case *syntax.CallExpr:
		s.noteCall(n)
	case *syntax.ForClause:
		if loop, ok := n.Loop.(*syntax.WordIter); ok && s.mayHoldSudo(n.Loop) {
			s.assign(loop.Name.Value, asText)
		}
	case *syntax.Stmt:
		for _, r := range n.Redirs {
			if s.mayHoldSudo(r) || r.Hdoc != nil && s.mayHoldSudo(r.Hdoc) {
				syntax.Walk(n, s.reads)
			}
		}
	case *syntax.BinaryCmd:
		if (n.Op == syntax.Pipe || n.Op == syntax.PipeAll) && s.mayHoldSudo(n.X) {
			syntax.Walk(n.Y, s.reads)
		}
	}
	return true
}

func (a *analysis) assign(name string, how given) {
	if a.assigned == nil {
		a.assigned = map[string]given{}
	}
	a.assigned[name] |= how
}

// assignment notes variables that may hold sudo, and what arrays hold.
func (s *script) assignment(n *syntax.Assign) {
	if n.Name == nil {
		return
	}
	name := n.Name.Value
	switch {
	case n.Array != nil:
		s.array(name, n)
	case n.Value != nil:
		value := s.word(n.Value)
		if s.mayHoldSudo(n.Value) || mentionsSudo(value.s) {
			s.assign(name, asText)
		}
		if slices.ContainsFunc(value.fields(), demandsAlone) {
			s.assign(name, asDemand)
		}
		if n.Index != nil || s.lists[name] != nil {
			s.values(name).inexact = true
		}
	}
}

// defaulted notes ${X:=sudo}.
func (s *script) defaulted(n *syntax.ParamExp) {
	if n.Exp == nil || n.Exp.Word == nil || n.Param == nil || n.Exp.Op != syntax.AssignUnset && n.Exp.Op != syntax.AssignUnsetOrNull {
		return
	}
	if s.mayHoldSudo(n.Exp.Word) {
		s.assign(n.Param.Value, asText)
	}
}

func (s *script) array(name string, n *syntax.Assign) {
	if s.mayHoldSudo(n.Array) {
		s.assign(name, asList)
	}
	v := s.values(name)
	var words []word
	for _, e := range n.Array.Elems {
		if e.Index != nil {
			v.inexact = true
		}
		if e.Value != nil {
			words = append(words, s.word(e.Value))
		}
	}
	if n.Append {
		v.extend(words)
		return
	}
	v.add(words)
}

// mayHoldSudo: sudo stands there, or a variable that may hold it.
func (s *script) mayHoldSudo(n syntax.Node) bool {
	may := mentionsSudo(s.source(n))
	if len(s.assigned) == 0 {
		return may
	}
	syntax.Walk(n, func(n syntax.Node) bool {
		if e, ok := n.(*syntax.ParamExp); ok && e.Param != nil {
			may = may || s.assigned[e.Param.Value]&(asText|asList) != 0
		}
		return !may
	})
	return may
}

func (s *script) source(n syntax.Node) string { return s.text.s[offset(n.Pos()):offset(n.End())] }

// noteCall keeps what a command does to names: `set --`, `shift`, `read`, `printf -v`,
// and the words that a function is called with.
func (s *script) noteCall(call *syntax.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	switch name := call.Args[0].Lit(); {
	case name == "":
	case s.isFunction(name):
		v := s.values(positional + name)
		v.calls, v.inexact = true, true
		if words := s.words(call)[1:]; slices.ContainsFunc(words, matters) {
			v.add(words)
		}
	case name == "set":
		s.set(call)
	case name == "shift":
		s.values(positional + s.functionAt(offset(call.Pos()))).inexact = true
	case name == "read" || name == "mapfile" || name == "readarray":
		for _, arg := range call.Args[1:] {
			s.values(arg.Lit()).inexact = true
		}
	case name == "printf" && len(call.Args) > 3 && call.Args[1].Lit() == "-v" && s.mayHoldSudo(call):
		s.assign(call.Args[2].Lit(), asText)
	}
}

// matters: with such a word among those it is called with, a function may run sudo in
// another way than without them.
func matters(w word) bool {
	return mentionsSudo(w.s) || asksAlone(w) || w.opaqueWithin(0, len(w.s))
}

// set gives $@ new words, unless it only sets options.
func (s *script) set(call *syntax.CallExpr) {
	words := s.words(call)[1:]
	for len(words) > 0 && len(words[0].s) > 1 && strings.IndexByte("-+", words[0].s[0]) >= 0 {
		ends := words[0].s == "--"
		if words = words[1:]; ends {
			break
		}
	}
	if len(words) == 0 {
		return
	}
	v := s.values(positional + s.functionAt(offset(call.Pos())))
	v.inexact = true
	v.add(words)
}

// reads notes the variables that `read` fills from what has sudo in it.
func (s *script) reads(n syntax.Node) bool {
	call, ok := n.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 {
		return true
	}
	switch call.Args[0].Lit() {
	case "read":
		s.assign("REPLY", asText)
	case "mapfile", "readarray":
		s.assign("MAPFILE", asText)
	default:
		return true
	}
	for _, arg := range call.Args[1:] {
		s.assign(arg.Lit(), asText)
	}
	return true
}

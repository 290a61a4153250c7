package sudo

import (
	"path"
	"slices"
	"strings"
)

// What is not read: commands that this package does not know may be sudo by another
// name, or run what they are given.

// other is a command that this package knows nothing of: it may run what it is given.
func (a *analysis) other(name string, words []word) input {
	if inert(name) {
		return input{inert: true}
	}
	isFunction := a.lists[positional+name] != nil // which is read where it stands
	isRead := a.runs(words[0], bash, words[1:]) || isFunction
	if a.renamed(words) || !isRead && a.asksLater(words) {
		a.doubt(words[0].where(), doubtCommand)
	}
	return input{}
}

// inert: the command only prints, searches, stores or passes on what it is given, or
// has it run on another host.
func inert(name string) bool {
	switch name {
	case "echo", "printf", ":", "true", "false", "test", "[", "set", "shift", "read", "mapfile", "readarray", "type", "which",
		"cat", "tac", "tee", "grep", "egrep", "fgrep", "zgrep", "rg", "sed", "tr", "cut", "sort", "uniq", "head", "tail", "wc", "nl", "fold",
		"less", "more", "jq", "yq", "base64", "sha256sum", "diff", "cmp", "logger", "mail", "curl", "wget", "pgrep", "pkill",
		"ls", "rm", "mkdir", "touch", "chmod", "chown", "ssh", "scp", "rsync":
		return true
	}
	return false
}

// renamed is a command that a script gave another name to, which may be sudo's, and
// which is then run as such.
func (a *analysis) renamed(words []word) bool {
	name, _ := words[0].name()
	r := readOptions(words[1:])
	return a.assigned[name]&asCommand != 0 && (len(r.demands) > 0 || r.doubt >= 0)
}

// maxLooks bounds looks ahead within looks ahead.
const maxLooks = 2

// asksLater: somewhere in the words, a command asks for the environment.
func (a *analysis) asksLater(words []word) bool {
	const most = 100 // words that are read one by one
	if slices.ContainsFunc(words, word.asksInside) {
		return true
	}
	if a.looks == maxLooks || len(words) > most {
		return mentionsAny(words) && slices.ContainsFunc(words, asksAlone)
	}
	for i, w := range words {
		name, known := w.name()
		_, isShell := shells[name]
		if !known || name != "sudo" && !isShell {
			continue
		}
		inner := &analysis{depth: a.depth, looks: a.looks + 1}
		if inner.command(words[i:]); len(inner.found) > 0 {
			return true
		}
	}
	return false
}

// asksInside: somewhere in a text of any language, such as a program for python or
// a command line for tmux, sudo is followed by options that ask for the environment,
// or that only show at run time.
func (t text) asksInside() bool {
	for i := 0; i+4 < len(t.s); i++ {
		if c := t.s[i]; c != 's' && c != 'S' {
			continue
		}
		end, _ := spellsSudo(t.s[i:])
		if end == 0 || i+end == len(t.s) || inName(t.s[i+end]) && !t.isOpaque(i+end) {
			continue
		}
		if r := readOptions(t.after(i + end).fields()); len(r.demands) > 0 || r.doubt >= 0 {
			return true
		}
	}
	return false
}

// fields are the first words of a text, whatever language quotes them, as far as a
// semicolon.
func (t text) fields() []word {
	const most, far = 32, 1 << 12
	var out []word
	t.s = t.s[:min(far, len(t.s))]
	for i := 0; i < len(t.s) && t.s[i] != ';' && len(out) < most; i++ {
		from := i
		for i < len(t.s) && (t.chars[i].opaque || strings.IndexByte(" \t\r\n\"'`,()[]{};", t.s[i]) < 0) {
			i++
		}
		if from < i {
			out = append(out, word{text: text{t.s[from:i], t.chars[from:i], t.root}})
		}
		if i < len(t.s) && t.s[i] == ';' {
			break
		}
	}
	return out
}

// runs reads a file that was written before, and reports whether there is one.
func (a *analysis) runs(file word, d dialect, args []word) bool {
	name := file.fileName()
	texts := a.wrote[name]
	delete(a.wrote, name) // it may run itself
	for _, t := range texts {
		if a.lines++; a.lines > maxRead {
			a.doubt(file, doubtDepth)
			break
		}
		a.script(t, d, slices.Concat([]word{file}, args)...)
	}
	if len(texts) > 0 {
		a.wrote[name] = texts
	}
	return len(texts) > 0
}

// fileName tells one file from another, also where a part of it is made at run time.
func (w word) fileName() string {
	if w.opaqueWithin(0, len(w.s)) {
		return strings.ReplaceAll(w.shown(), `"`, "")
	}
	return w.s
}

// named notes the other names that a command gives to sudo: alias, ln and their like.
func (a *analysis) named(words []word) {
	for i, w := range words {
		if name, value, isAlias := strings.Cut(w.s, "="); isAlias && a.isCommand(value, w.isOpaque(len(name)+1)) {
			a.assign(name, asCommand)
		}
		if program, _ := w.name(); program != "sudo" && !(w.opaqueWithin(0, len(w.s)) && a.maySudo(w)) {
			continue
		}
		for _, other := range slices.Delete(slices.Clone(words), i, i+1) {
			a.assign(path.Base(other.s), asCommand)
		}
	}
}

// isCommand: an alias may stand for sudo, or for another name of it.
func (a *analysis) isCommand(value string, opaque bool) bool {
	first, _, _ := strings.Cut(value, " ")
	return opaque || mentionsSudo(value) || a.assigned[first]&asCommand != 0
}

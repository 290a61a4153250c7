package sudo

import (
	"path"
	"slices"
	"strings"
)

// The reasons of doubts; policies puts the word in their place.
const (
	doubtOption  = "what %s asks of sudo only shows at run time"
	doubtCommand = "whether %s runs sudo, and how, only shows at run time"
	doubtParse   = "this shell script cannot be parsed"
	doubtDepth   = "shell scripts are nested too deep to follow"
)

// maxDepth bounds scripts in scripts in scripts.
const maxDepth = 16

// input is what a command does with its standard input.
type input struct {
	script  bool // it is a shell that reads its script there
	dialect dialect
}

// Runs reports whether a command runs what its arguments say, as far as this
// package can read them.
func Runs(command string) bool {
	name := path.Base(command)
	_, isShell := shells[name]
	_, isWrapper := wrapperNamed(name)
	return isShell || isWrapper || name == "sudo" || name == "find" || name == "ip"
}

// command reads a command line and what it runs in turn.
func (a *analysis) command(words []word) input {
	for len(words) > 0 {
		name, known := words[0].name()
		if !known {
			a.unknown(words)
			return input{}
		}
		if name == "sudo" {
			var in input
			if words, in = a.sudo(words[0], words[1:]); len(words) == 0 {
				return in
			}
			continue
		}
		if d, ok := shells[name]; ok {
			return a.shell(words[1:], d)
		}
		w, ok := wrapperNamed(name)
		switch {
		case ok:
			var in input
			if words, in = a.wrapped(words, w); len(words) == 0 {
				return in
			}
		case name == "find":
			a.find(words[1:])
			return input{}
		case name == "ip":
			words = inNamespace(words)
		default:
			return a.builtin(name, words[1:])
		}
	}
	return input{}
}

// sudo reads sudo's arguments and gives the command that it runs.
func (a *analysis) sudo(asker word, args []word) ([]word, input) {
	r := readOptions(args)
	for _, d := range r.demands {
		a.ask(asker, args[d.index], d)
	}
	if r.doubt >= 0 {
		a.doubt(args[r.doubt], doubtOption)
	}
	if !r.runs {
		return nil, input{}
	}
	return args[min(r.next, len(args)):], input{script: r.shell}
}

// unknown is a command whose name only shows at run time. It is worth a doubt
// where it may be sudo: its name says so, a variable was given sudo, or what
// follows asks for the environment.
func (a *analysis) unknown(words []word) {
	if a.maySudo(words[0]) || words[0].couldBe("sudo") && (len(readOptions(words[1:]).demands) > 0 || a.asksLater(words[1:])) {
		a.doubt(words[0], doubtCommand)
	}
}

func (a *analysis) maySudo(w word) bool {
	shown := w.shown()
	if a.known(w) != nil {
		return a.assigned[w.ref.name]&asText != 0 || a.hides(w)
	}
	return mentionsSudo(shown) || a.assigned[variable(shown)] != 0 || a.hides(w)
}

// variable is the name of the variable that a word begins with, or empty.
func variable(word string) string {
	name, isVariable := strings.CutPrefix(strings.TrimLeft(word, `"`), "$")
	if name = strings.TrimPrefix(name, "{"); !isVariable {
		return ""
	}
	end := 0
	for end < len(name) && inName(name[end]) {
		end++
	}
	return name[:end]
}

// asksLater: somewhere in the words, a command asks for the environment.
func (a *analysis) asksLater(words []word) bool {
	const most = 100 // words; nobody writes more before a command
	for i, w := range words[:min(most, len(words))] {
		name, known := w.name()
		_, isShell := shells[name]
		if !known || name != "sudo" && !isShell {
			continue
		}
		inner := &analysis{depth: a.depth + maxDepth/2}
		if inner.command(words[i:]); len(inner.found) > 0 {
			return true
		}
	}
	return false
}

// shell reads the arguments of a shell: a script after -c, else a file, else the
// script is its standard input.
func (a *analysis) shell(args []word, d dialect) input {
	script, stdin := false, false
	i := 0
	for ; i < len(args); i++ {
		arg := args[i]
		if !script && arg.isOpaque(0) && !arg.isPath() && (mentionsAny(args[i+1:]) || mentionsSudo(arg.shown())) {
			a.doubt(arg, doubtCommand)
			return input{}
		}
		if arg.s == "--" || arg.s == "-" {
			i++
			break
		}
		if len(arg.s) < 2 || arg.s[0] != '-' && arg.s[0] != '+' {
			break
		}
		if strings.HasPrefix(arg.s, "--") {
			if arg.s == "--rcfile" || arg.s == "--init-file" {
				i++
			}
			continue
		}
		script = script || arg.s[0] == '-' && strings.Contains(arg.s, "c")
		stdin = stdin || strings.Contains(arg.s, "s")
		i += strings.Count(strings.ToLower(arg.s), "o") // the name of an option, as in -o pipefail
	}
	switch {
	case script && i < len(args):
		a.script(args[i].text, d, args[i+1:]...)
		return input{}
	case script:
		return input{}
	}
	return input{script: stdin || i >= len(args), dialect: d}
}

func mentionsAny(words []word) bool {
	return slices.ContainsFunc(words, func(w word) bool { return mentionsSudo(w.s) })
}

// builtin reads commands of the shell itself that take a script as an argument.
func (a *analysis) builtin(name string, args []word) input {
	switch name {
	case "eval":
		if len(args) > 0 && inOrder(args) {
			a.inner(join(args), bash)
		} else if len(args) > 0 && (mentionsAny(args) || a.asksLater(args)) {
			a.doubt(args[0].where(), doubtCommand)
		}
	case "trap":
		if args = withoutOptions(args); len(args) > 1 {
			a.inner(args[0].text, bash)
		}
	case "alias":
		for _, arg := range args {
			if i := strings.IndexByte(arg.s, '='); i > 0 && mentionsSudo(arg.s) {
				a.inner(arg.after(i+1), bash)
			}
		}
	}
	return input{}
}

func withoutOptions(args []word) []word {
	if len(args) > 0 && args[0].s == "--" {
		return args[1:]
	}
	return args
}

// find runs what stands after -exec.
func (a *analysis) find(args []word) {
	for i, arg := range args {
		switch arg.s {
		case "-exec", "-execdir", "-ok", "-okdir":
			a.command(args[i+1:])
		}
	}
}

// inNamespace is the command of `ip netns exec NAME COMMAND`.
func inNamespace(words []word) []word {
	for i, w := range words {
		if w.s == "exec" && i > 0 && strings.HasPrefix("netns", words[i-1].s) && len(words) > i+1 {
			return words[i+2:]
		}
	}
	return nil
}

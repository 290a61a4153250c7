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
	inert   bool // it is a program that runs nothing of what it reads
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
			asker := words[0]
			if words, in = a.wrapped(words, w); len(words) == 0 {
				return in
			}
			if name == "xargs" {
				return a.xargs(asker, words)
			}
		case name == "find":
			a.find(words[1:])
			return input{}
		case name == "ip" && inNamespace(words) != nil:
			words = inNamespace(words)
		default:
			return a.builtin(name, words)
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
	if r.runs || r.doubt >= 0 {
		a.calls = append(a.calls, call(args, r))
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
	if a.runs(words[0], bash, words[1:]) {
		return
	}
	if a.maySudo(words[0]) || words[0].couldBe("sudo") && a.demands(words) || a.asksLater(words[1:]) {
		a.doubt(words[0], doubtCommand)
	}
}

// demands: what follows asks for the environment if the first word is sudo, or a
// variable does that this word ends with: su$A. One that it begins with has a
// command of its own before the demand, as in `G="grep -E"; $G x`.
func (a *analysis) demands(words []word) bool {
	rest := strings.TrimLeft(words[0].shown(), "\"${")
	return a.given(rest, asDemand) || len(readOptions(words[1:]).demands) > 0
}

func (a *analysis) maySudo(w word) bool {
	if a.known(w) != nil {
		return a.assigned[w.ref.name]&asText != 0 || a.hides(w)
	}
	return mentionsSudo(w.shown()) || a.given(w.shown(), asText|asList) || a.hides(w)
}

// given: a variable in the word was given such a value. ${!X} is any of them.
func (a *analysis) given(word string, how given) bool {
	for name, has := range a.assigned {
		if has&how != 0 && (expandsTo(word, name) || strings.Contains(word, "${!")) {
			return true
		}
	}
	return false
}

// expandsTo: the variable of that name stands in the word.
func expandsTo(word, name string) bool {
	for i := range len(word) {
		if word[i] == '$' && variable(word[i:]) == name {
			return true
		}
	}
	return false
}

// variable is the name of the variable that a text begins with, or empty.
func variable(s string) string {
	name := strings.TrimPrefix(s[1:], "{")
	end := 0
	for end < len(name) && (isLetter(name[end]) || name[end] == '_' || name[end] >= '0' && name[end] <= '9') {
		end++
	}
	return name[:end]
}

// shell reads the arguments of a shell: a script after -c, else a file, else the
// script is its standard input.
func (a *analysis) shell(args []word, d dialect) input {
	script, stdin := false, false
	i := 0
	for ; i < len(args); i++ {
		arg := args[i]
		if !script && arg.mayBeOption() && (mentionsAny(args[i+1:]) || mentionsSudo(arg.shown())) {
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
	case i < len(args) && !stdin && !isInputFile(args[i].s):
		if !a.runs(args[i], d, args[i+1:]) && a.asksLater(args[i+1:]) {
			a.doubt(args[i], doubtCommand)
		}
		return input{}
	}
	return input{script: true, dialect: d}
}

// isInputFile: the file's name is that of the standard input.
func isInputFile(name string) bool {
	return name == "/dev/stdin" || name == "/dev/fd/0" || name == "/proc/self/fd/0"
}

func mentionsAny(words []word) bool {
	return slices.ContainsFunc(words, func(w word) bool { return mentionsSudo(w.s) })
}

// builtin reads commands of the shell itself that take a script as an argument. Any
// other may run what it is given, if it is not known better.
func (a *analysis) builtin(name string, words []word) input {
	args := words[1:]
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
		a.named(args)
		for _, arg := range args {
			if i := strings.IndexByte(arg.s, '='); i > 0 && mentionsSudo(arg.s) {
				a.inner(arg.after(i+1), bash)
			}
		}
	case "hash", "ln", "cp", "mv", "install":
		a.named(args)
		return input{inert: name != "install"}
	case ".", "source":
		return a.shell(args, bash)
	default:
		return a.other(name, words)
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
	args = filledIn(args)
	for i, arg := range args {
		switch arg.s {
		case "-exec", "-execdir", "-ok", "-okdir":
			a.command(args[i+1:])
		}
	}
}

// xargs runs a command with words of its input.
func (a *analysis) xargs(asker word, words []word) input {
	in := a.command(append(filledIn(words), asker.opaque()))
	return input{inert: in.inert}
}

// filledIn is a command in which {} is what find or xargs puts there.
func filledIn(words []word) []word {
	out := slices.Clone(words)
	for i, w := range out {
		if w.s == "{}" {
			out[i] = w.opaque()
		}
	}
	return out
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

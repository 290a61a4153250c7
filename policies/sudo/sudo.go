// Package sudo understands a sudo command line as sudo 1.9 itself reads it:
// getopt_long with a leading "+", so that the first word which is neither an
// option nor an assignment ends the options. What the command that sudo runs
// makes of its own arguments is no business of sudo's.
package sudo

import "strings"

// Occurrence is one element of an argument list that asks sudo to preserve the
// caller's environment, all of it or some variables.
type Occurrence struct {
	Index       int     // in the argument list
	Arg         string  // the element as it is
	Replacement *string // the element without that demand; nil: the whole element goes
}

// PreserveEnv lists the elements of args (what follows the word sudo) that ask
// it to preserve the environment, in order. Nomad's runtime interpolations are
// opaque: a word that starts with one ends the options.
func PreserveEnv(args []string) []Occurrence {
	r := reader{args: args}
	for !r.ended && r.next < len(args) {
		r.word(args[r.next])
	}
	return r.found
}

// reader walks an argument list as getopt_long and sudo's loop around it do.
type reader struct {
	args  []string
	next  int
	ended bool
	found []Occurrence
}

func (r *reader) word(arg string) {
	switch {
	case arg == "--":
		r.ended = true
	case strings.HasPrefix(arg, "--"):
		r.long(arg)
	case len(arg) > 1 && arg[0] == '-':
		r.short(arg)
	case r.assignmentNext():
		r.next++
	default:
		r.ended = true
	}
}

// assignmentNext reports whether sudo takes the next word for NAME=VALUE, which
// may stand between options. It looks for the `--` that ends them in the word
// before, and so do we, also where that word was an option's value.
func (r *reader) assignmentNext() bool {
	afterEnd := r.next > 0 && r.args[r.next-1] == "--"
	return !afterEnd && r.next < len(r.args) && isAssignment(r.args[r.next])
}

func isAssignment(arg string) bool {
	return arg != "" && arg[0] != '/' && strings.Index(arg, "=") > 0
}

func (r *reader) long(arg string) {
	name, _, hasValue := strings.Cut(arg[2:], "=")
	option := longOption(name)
	if option == "preserve-env" {
		r.found = append(r.found, Occurrence{Index: r.next, Arg: arg})
	}
	r.next++
	if longWithValue[option] && !hasValue {
		r.next++
	}
}

// short reads a bundle such as -nEu. Letters that sudo does not know (it refuses
// the whole line then) count as options without a value.
func (r *reader) short(arg string) {
	rest, asked := arg[1:], false
	kept := "-"
	for rest != "" && !strings.HasPrefix(rest, "${") && !takesValue(rest[0]) {
		switch rest[0] {
		case '-': // never valid in a bundle; without the E it might become `--`
			r.next++
			return
		case 'E':
			asked = true
		default:
			kept += rest[:1]
		}
		rest = rest[1:]
	}
	if asked {
		r.found = append(r.found, occurrence(r.next, arg, kept+rest))
	}
	r.next++
	if len(rest) == 1 {
		r.value(rest[0])
	}
}

func occurrence(i int, arg, without string) Occurrence {
	o := Occurrence{Index: i, Arg: arg}
	if strings.TrimSpace(without) != "-" { // a line end in a heredoc is no option
		o.Replacement = &without
	}
	return o
}

// value steps over the value of an option that ended its word. -h is a host
// where a host follows, else it asks for help and nothing is run.
func (r *reader) value(option byte) {
	if option == 'h' && (r.next >= len(r.args) || strings.HasPrefix(r.args[r.next], "-") || r.assignmentNext()) {
		r.ended = true
		return
	}
	r.next++
}

func takesValue(letter byte) bool { return strings.IndexByte("aCcDghpRrTtUu", letter) >= 0 }

// longWithValue has every long option of sudo 1.9; true are those whose value may
// be the next word. The value of preserve-env must be joined to it by "=".
var longWithValue = map[string]bool{
	"askpass": false, "auth-type": true, "background": false, "bell": false, "chdir": true,
	"chroot": true, "close-from": true, "command-timeout": true, "edit": false, "group": true,
	"help": false, "host": true, "list": false, "login": false, "login-class": true,
	"no-update": false, "non-interactive": false, "other-user": true, "preserve-env": false,
	"preserve-groups": false, "prompt": true, "remove-timestamp": false,
	"reset-timestamp": false, "role": true, "set-home": false, "shell": false, "stdin": false,
	"type": true, "user": true, "validate": false, "version": false,
}

// longOption is the option that a name or an unambiguous beginning of one means,
// or empty.
func longOption(name string) string {
	if _, exact := longWithValue[name]; exact {
		return name
	}
	var match string
	for option := range longWithValue {
		if !strings.HasPrefix(option, name) {
			continue
		}
		if match != "" {
			return ""
		}
		match = option
	}
	return match
}

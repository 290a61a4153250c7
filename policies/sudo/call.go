package sudo

import (
	"slices"
	"strings"
)

// Call is one use of sudo that a command line makes.
type Call struct {
	User     string   // whom the command is to run as; empty for root
	Preserve bool     // it asks for the caller's environment, all of it or some
	Command  []string // what sudo runs; empty for a shell of its own
	Line     string   // as it is written, in words
	Known    bool     // nothing of it is made at run time
}

// Calls are the uses of sudo in an argument list, the command first, also those in
// shell scripts and behind env, timeout and the like, as far as they can be read.
func Calls(args []string) []Call {
	if !slices.ContainsFunc(args, mentionsSudo) {
		return nil
	}
	a := analysisOf(args)
	var out []Call
	for _, c := range a.calls {
		if !slices.ContainsFunc(out, func(o Call) bool { return o.Line == c.Line }) {
			out = append(out, c)
		}
	}
	return out
}

// call is what the reader made of sudo's arguments.
func call(args []word, r reader) Call {
	out := Call{Preserve: len(r.demands) > 0, Known: r.doubt < 0, Line: "sudo"}
	options := args[:min(r.next, len(args))]
	for i, w := range args {
		out.Line += " " + w.shown()
		out.Known = out.Known && !w.opaqueWithin(0, len(w.s))
		if i >= len(options) {
			out.Command = append(out.Command, w.shown())
		}
	}
	out.User = userOf(options)
	return out
}

// userOf is the value of -u, --user, or of a bundle that ends in it.
func userOf(options []word) string {
	user := ""
	for i := 0; i < len(options); i++ {
		arg, next := options[i].s, ""
		if i+1 < len(options) {
			next = options[i+1].s
		}
		if name, value, joined := strings.Cut(strings.TrimPrefix(arg, "--"), "="); strings.HasPrefix(arg, "--") {
			option := longOption(name)
			if longWithValue[option] && !joined {
				value = next
				i++
			}
			if option == "user" {
				user = value
			}
			continue
		}
		if len(arg) < 2 || arg[0] != '-' {
			continue
		}
		at := strings.IndexFunc(arg[1:], func(r rune) bool { return r < 128 && takesValue(byte(r)) }) + 1
		if at == 0 {
			continue
		}
		value := arg[at+1:]
		if value == "" {
			value = next
			i++
		}
		if arg[at] == 'u' {
			user = value
		}
	}
	return user
}

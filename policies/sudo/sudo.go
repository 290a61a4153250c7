// Package sudo understands command lines and shell scripts as far as sudo goes:
// where they ask it to preserve the caller's environment, and where that cannot
// be told before they run. Options are read as sudo 1.9 itself reads them:
// getopt_long with a leading "+", so that the first word which is neither an
// option nor an assignment ends the options.
package sudo

import "strings"

// demand is a word of sudo's arguments that asks for the environment.
type demand struct {
	index   int
	letters []int // the letters to take out of a bundle; none: the whole word goes
	fixed   bool  // no part of the word is made at run time
}

// reader walks sudo's arguments as getopt_long and sudo's loop around it do.
type reader struct {
	args    []word
	next    int
	ended   bool
	demands []demand
	doubt   int  // the word that only shows at run time what it asks; -1 for none
	runs    bool // the arguments from next on are a command, or none for a shell
	shell   bool // -s or -i: without a command, sudo runs a shell
}

func readOptions(args []word) reader {
	r := reader{args: args, doubt: -1, runs: true}
	for !r.ended && r.next < len(args) {
		r.word(args[r.next])
	}
	return r
}

func (r *reader) word(arg word) {
	switch {
	case arg.s == "--":
		r.next++
		r.ended = true
	case arg.isOpaque(0) && !arg.isPath():
		r.doubtful()
	case strings.HasPrefix(arg.s, "--"):
		r.long(arg)
	case len(arg.s) > 1 && arg.s[0] == '-':
		r.short(arg)
	case r.assignmentNext():
		r.step(arg)
	default:
		r.ended = true
	}
}

// doubtful ends the reading at a word that nobody knows before run time.
func (r *reader) doubtful() {
	r.doubt, r.ended, r.runs = r.next, true, false
}

// step goes past a word; one that may become several ends the reading.
func (r *reader) step(arg word) {
	if arg.isMulti() {
		r.doubtful()
		return
	}
	r.next++
}

// assignmentNext reports whether sudo takes the next word for NAME=VALUE, which
// may stand between options. It looks for the `--` that ends them in the word
// before, and so do we, also where that word was an option's value.
func (r *reader) assignmentNext() bool {
	afterEnd := r.next > 0 && r.args[r.next-1].s == "--"
	return !afterEnd && r.next < len(r.args) && isAssignment(r.args[r.next].s)
}

func isAssignment(arg string) bool {
	return arg != "" && arg[0] != '/' && strings.Index(arg, "=") > 0
}

func (r *reader) long(arg word) {
	name, _, hasValue := strings.Cut(arg.s[2:], "=")
	if arg.opaqueWithin(0, 2+len(name)) {
		r.doubtful()
		return
	}
	option := longOption(name)
	r.mode(option)
	switch {
	case option == "preserve-env":
		r.demands = append(r.demands, demand{index: r.next, fixed: !arg.isMulti()})
	case option == "" && longOption(letters(name)) == "preserve-env": // sudo refuses the line
		r.demands = append(r.demands, demand{index: r.next})
	}
	if r.step(arg); longWithValue[option] && !hasValue {
		r.value()
	}
}

// letters is the beginning of a long option's name that can be one.
func letters(name string) string {
	end := strings.IndexFunc(name, func(c rune) bool { return c != '-' && (c < 'a' || c > 'z') })
	if end < 0 {
		return name
	}
	return name[:end]
}

// mode keeps what decides whether a command is run.
func (r *reader) mode(option string) {
	switch option {
	case "edit", "list", "validate", "version", "help", "remove-timestamp":
		r.runs = false
	case "shell", "login":
		r.shell = true
	}
}

var shortModes = map[byte]string{
	'e': "edit", 'l': "list", 'v': "validate", 'V': "version", 'K': "remove-timestamp", 's': "shell", 'i': "login",
}

// short reads a bundle such as -nEu. Letters that sudo does not know (it refuses
// the whole line then) count as options without a value.
func (r *reader) short(arg word) {
	var asked []int
	kept, known := 0, true
	i := 1
	for ; i < len(arg.s) && !arg.isOpaque(i) && !takesValue(arg.s[i]); i++ {
		switch c := arg.s[i]; {
		case c == '-': // never valid in a bundle; without the E it might become `--`
			r.next++
			return
		case c == 'E':
			asked = append(asked, i)
		case strings.TrimRight(arg.s[i:], "\r\n ") != "": // a line end in a heredoc is no option
			kept++
			known = known && strings.IndexByte(shortAlone, c) >= 0
		}
		r.mode(shortModes[arg.s[i]])
	}
	opaque := arg.isOpaque(i)
	if len(asked) > 0 {
		if kept == 0 && i == len(arg.s) {
			asked = nil
		}
		r.demands = append(r.demands, demand{index: r.next, letters: asked, fixed: !opaque && known})
	}
	if opaque {
		r.doubtful()
		return
	}
	if r.step(arg); i == len(arg.s)-1 {
		r.shortValue(arg.s[i])
	}
}

// shortValue steps over the value of an option that ended its word. -h is a host
// where a host follows, else it asks for help and nothing is run.
func (r *reader) shortValue(option byte) {
	if option == 'h' && (r.next >= len(r.args) || strings.HasPrefix(r.args[r.next].s, "-") || r.assignmentNext()) {
		r.ended, r.runs = true, false
		return
	}
	r.value()
}

func (r *reader) value() {
	switch {
	case r.ended:
	case r.next >= len(r.args): // sudo refuses the line
		r.ended, r.runs = true, false
	default:
		r.step(r.args[r.next])
	}
}

// shortAlone are the short options without a value. A word with others in it is
// mistyped: what would be left of it without the E is nothing that anybody meant.
const shortAlone = "ABbEeHiKklNnPSsVv"

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

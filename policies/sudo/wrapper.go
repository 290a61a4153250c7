package sudo

import (
	"slices"
	"strings"
)

// wrapper is a command that runs another one: how to read its own arguments.
type wrapper struct {
	short   string   // options whose value may be the next word
	long    []string // long ones
	script  string   // a short option whose value is a shell script, and its long name
	skip    int      // operands before the command
	assigns bool     // NAME=VALUE may stand before the command
	none    string   // options with which nothing is run
	shell   bool     // without a command it runs a shell
}

// wrapperNamed is the wrapper of that name; a switch costs nothing at start.
func wrapperNamed(name string) (wrapper, bool) {
	switch name {
	case "nohup", "setsid", "builtin", "busybox", "toybox", "unbuffer", "nocache", "catchsegv":
		return wrapper{}, true
	case "env":
		return wrapper{short: "uCa", long: []string{"unset", "chdir", "argv0"}, script: "S split-string", assigns: true}, true
	case "command":
		return wrapper{none: "vV"}, true
	case "exec":
		return wrapper{short: "a"}, true
	case "time":
		return wrapper{short: "fo", long: []string{"format", "output"}}, true
	case "nice":
		return wrapper{short: "n", long: []string{"adjustment"}}, true
	case "ionice":
		return wrapper{short: "cn", long: []string{"class", "classdata"}, none: "pPu"}, true
	case "timeout":
		return wrapper{short: "ks", long: []string{"kill-after", "signal"}, skip: 1}, true
	case "stdbuf":
		return wrapper{short: "ioe", long: []string{"input", "output", "error"}}, true
	case "chroot":
		return wrapper{long: []string{"userspec", "groups"}, skip: 1, shell: true}, true
	case "xargs":
		return wrapper{short: "adEILnPs", long: []string{"arg-file", "delimiter", "max-args", "max-procs", "max-chars", "process-slot-var"}}, true
	case "taskset":
		return wrapper{skip: 1, none: "p"}, true
	case "chrt":
		return wrapper{short: "TPD", skip: 1, none: "p"}, true
	case "numactl":
		return wrapper{short: "iNmCpw", long: []string{"interleave", "cpunodebind", "membind", "physcpubind", "preferred"}}, true
	case "unshare":
		return wrapper{short: "SGRw", long: []string{"setuid", "setgid", "root", "wd"}, shell: true}, true
	case "nsenter":
		return wrapper{short: "tSG", long: []string{"target", "setuid", "setgid"}, shell: true}, true
	case "setpriv":
		return wrapper{long: []string{"ruid", "euid", "rgid", "egid", "reuid", "regid", "groups", "inh-caps", "ambient-caps",
			"bounding-set", "securebits", "pdeathsig", "selinux-label", "apparmor-profile"}}, true
	case "flock":
		return wrapper{short: "wE", long: []string{"wait", "timeout", "conflict-exit-code"}, script: "c command", skip: 1}, true
	case "su":
		return wrapper{short: "gGsw", long: []string{"group", "supp-group", "shell", "whitelist-environment"}, script: "c command", skip: -1, shell: true}, true
	case "runuser":
		return wrapper{short: "ugGsw", long: []string{"user", "group", "supp-group", "shell", "whitelist-environment"}, script: "c command", shell: true}, true
	case "script":
		return wrapper{short: "BEIOTmo", long: []string{"log-in", "log-out", "log-io", "log-timing", "logging-format", "output-limit", "echo"}, script: "c command", skip: -1}, true
	case "strace":
		return wrapper{short: "abeEIoOpPsSuX"}, true
	case "watch":
		return wrapper{short: "nq", long: []string{"interval", "equexit"}}, true
	case "systemd-run":
		return wrapper{short: "uptMHEdC", long: []string{"unit", "property", "description", "slice", "service-type", "uid", "gid", "nice",
			"working-directory", "setenv", "host", "machine", "on-active", "on-boot", "on-calendar"}}, true
	case "doas":
		return wrapper{short: "uCa", shell: true}, true
	case "gosu", "su-exec", "setuidgid":
		return wrapper{skip: 1}, true
	case "tini":
		return wrapper{short: "ep"}, true
	case "dumb-init":
		return wrapper{short: "r", long: []string{"rewrite"}}, true
	case "cgexec":
		return wrapper{short: "g"}, true
	}
	return wrapper{}, false
}

// wrapped is the command that a wrapper runs. Scripts among its options are read
// on the way.
func (a *analysis) wrapped(words []word, w wrapper) ([]word, input) {
	skip := w.skip
	shell := input{script: w.shell}
	for i := 1; i < len(words); i++ {
		arg := words[i]
		switch {
		case arg.s == "--" && skip >= 0:
			return rest(words, i+1+skip), shell
		case arg.isOpaque(0) && !arg.isPath() && (skip <= 0 || arg.isMulti()):
			if len(words) > i+1 && skip == 0 && a.asksLater(words[i+1:]) || a.maySudo(arg) || len(readOptions(words[i+1:]).demands) > 0 {
				a.doubt(arg, doubtCommand)
			}
			return nil, input{}
		case len(arg.s) > 1 && arg.s[0] == '-':
			next, runs := a.wrapperOption(words, i, w)
			if !runs {
				return nil, input{}
			}
			i = next
		case w.assigns && (arg.s == "-" || isAssignment(arg.s)):
			if name, value, _ := strings.Cut(arg.s, "="); mentionsSudo(value) {
				a.assign(name, asText)
			}
		case skip != 0: // su and script take options after their operands too
			skip--
		default:
			return words[i:], input{}
		}
	}
	return nil, shell
}

func rest(words []word, from int) []word { return words[min(from, len(words)):] }

// wrapperOption steps over the option in words[i] and its value; runs is false
// where nothing more is run.
func (a *analysis) wrapperOption(words []word, i int, w wrapper) (next int, runs bool) {
	arg := words[i]
	script, longScript, _ := strings.Cut(w.script, " ")
	if name, isLong := strings.CutPrefix(arg.s, "--"); isLong {
		name, _, joined := strings.Cut(name, "=")
		isScript := longScript != "" && name == longScript
		switch {
		case isScript && joined:
			a.inOption(arg.after(len(name)+3), words[i+1:], w)
			return i, false
		case isScript && i+1 < len(words):
			a.inOption(words[i+1].text, words[i+2:], w)
			return i + 1, false
		case !joined && slices.Contains(w.long, name):
			return i + 1, true
		}
		return i, true
	}
	for k := 1; k < len(arg.s); k++ {
		letter := arg.s[k : k+1]
		switch {
		case strings.Contains(w.none, letter):
			return i, false
		case letter == script && k+1 < len(arg.s):
			a.inOption(arg.after(k+1), words[i+1:], w)
			return i, false
		case letter == script && i+1 < len(words):
			a.inOption(words[i+1].text, words[i+2:], w)
			return i + 1, false
		case strings.Contains(w.short, letter) && k+1 < len(arg.s):
			return i, true
		case strings.Contains(w.short, letter):
			return i + 1, true
		}
	}
	return i, true
}

// inOption reads a script that is an option's value. env splits its own into
// words, and goes on with what follows.
func (a *analysis) inOption(script text, after []word, w wrapper) {
	if w.assigns {
		a.splitString(script, after)
		return
	}
	a.script(script, bash)
}

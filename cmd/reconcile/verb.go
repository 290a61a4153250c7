package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/cli"
	"github.com/posener/complete"
)

// verb is one command: it declares its flags, parses, and works.
type verb struct {
	*shell
	name     string
	synopsis string
	run      func(*invocation) int
}

// invocation is one call of a verb.
type invocation struct {
	*shell
	flags *flag.FlagSet
	usage string // the arguments after the flags
	about string // for -help: what the verb does, in a few lines
	args  []string
	raw   []string
	dry   bool // the flags alone are asked for: help and completion
}

// parse reads the flags, which may stand before, between and after arguments.
// It returns an exit code and false where the verb has nothing more to do.
func (in *invocation) parse(usage, about string) (int, bool) {
	in.usage, in.about = usage, about
	in.flags.SetOutput(io.Discard)
	if in.dry {
		return exitOK, false
	}
	rest := in.raw
	for {
		if err := in.flags.Parse(rest); err != nil {
			return in.badFlag(err), false
		}
		if in.flags.NArg() == 0 {
			return exitOK, true
		}
		if n := len(rest) - in.flags.NArg(); n > 0 && rest[n-1] == "--" {
			in.args = append(in.args, in.flags.Args()...)
			return exitOK, true
		}
		in.args = append(in.args, in.flags.Arg(0))
		rest = in.flags.Args()[1:]
	}
}

func (in *invocation) badFlag(err error) int {
	if errors.Is(err, flag.ErrHelp) {
		in.print("%s\n", in.help())
		return exitOK
	}
	text := err.Error() + "."
	if name, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: -"); ok {
		text = fmt.Sprintf("%s has no flag -%s.%s", in.flags.Name(), name, in.nearestFlag(name))
	}
	in.printErr("Error: %s\n`reconcile %s -help` lists its flags.\n", text, in.flags.Name())
	return exitError
}

// nearestFlag asks whether a flag like the one that was typed was meant.
func (in *invocation) nearestFlag(typed string) string {
	var names []string
	in.flags.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	if len(names) == 0 {
		return ""
	}
	name := nearest(typed, names)
	if !strings.HasPrefix(name, typed) && levenshtein.Distance(typed, name, nil) > 3 {
		return ""
	}
	return fmt.Sprintf(" Did you mean -%s?", name)
}

// misuse says what is wrong with the arguments.
func (in *invocation) misuse(format string, args ...any) int {
	in.printErr("Error: "+format+"\n`reconcile %s -help` shows how it is used.\n", append(args, in.flags.Name())...)
	return exitError
}

func (in *invocation) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: reconcile %s\n\n%s\n", strings.TrimSpace(in.flags.Name()+" [options] "+in.usage), indent(in.about, "  "))
	first := true
	in.flags.VisitAll(func(f *flag.Flag) {
		if first {
			b.WriteString("\nOptions:\n")
			first = false
		}
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(&b, "\n  %s\n%s\n", strings.TrimSpace("-"+f.Name+" "+value), indent(usage, "      "))
	})
	return strings.TrimRight(b.String(), "\n")
}

func indent(text, by string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, l := range lines {
		if strings.TrimSpace(l) != "" {
			lines[i] = by + strings.TrimSpace(l)
		}
	}
	return strings.Join(lines, "\n")
}

func (v *verb) invoke(args []string, dry bool) (*invocation, int) {
	in := &invocation{shell: v.shell, raw: args, dry: dry, flags: flag.NewFlagSet(v.name, flag.ContinueOnError)}
	return in, v.run(in)
}

// Run, Help, Synopsis and the Autocomplete methods are what hashicorp/cli asks of
// a command.
func (v *verb) Run(args []string) int {
	_, code := v.invoke(args, false)
	return code
}

func (v *verb) Help() string {
	in, _ := v.invoke(nil, true)
	return in.help()
}

func (v *verb) Synopsis() string { return v.synopsis }

func (v *verb) AutocompleteFlags() complete.Flags {
	in, _ := v.invoke(nil, true)
	flags := complete.Flags{}
	in.flags.VisitAll(func(f *flag.Flag) { flags["-"+f.Name] = predictorOf(f) })
	return flags
}

func predictorOf(f *flag.Flag) complete.Predictor {
	if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		return complete.PredictNothing
	}
	return complete.PredictFiles("*")
}

func (v *verb) AutocompleteArgs() complete.Predictor { return complete.PredictFiles("*") }

// repeated is a flag that may be given several times.
type repeated []string

func (r *repeated) String() string     { return strings.Join(*r, ",") }
func (r *repeated) Set(s string) error { *r = append(*r, s); return nil }

// order is how help lists the verbs: as one would use them.
var order = []string{"demo", "init", "check", "test", "explain", "plan", "apply", "doctor", "agent", "status", "history", "rollback", "suspend", "resume", "import", "render", "version", "completion"}

func help(commands map[string]cli.CommandFactory) string {
	var b strings.Builder
	b.WriteString("Usage: reconcile VERB [options] [args]\n\n  Keeps Nomad jobs the way policy files say they must be: in their files and live.\n\nVerbs:\n")
	for _, name := range order {
		command, err := commands[name]()
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "  %-11s %s\n", name, command.Synopsis())
	}
	b.WriteString("\n`reconcile VERB -help` says more of one.")
	return b.String()
}

// noVerb says what there is instead of the verb that was typed, if one was.
func (sh *shell) noVerb(args []string, commands map[string]cli.CommandFactory) int {
	if len(args) == 0 {
		sh.printErr("%s\n", help(commands))
		return exitError
	}
	sh.printErr("Error: there is no verb %q. Did you mean %q?\n`reconcile -help` lists the verbs.\n", args[0], nearest(args[0], slices.Collect(maps.Keys(commands))))
	return exitError
}

// nearest is the name most like the one that was typed; there must be one.
func nearest(typed string, names []string) string {
	return slices.MinFunc(slices.Sorted(slices.Values(names)), func(a, b string) int {
		return levenshtein.Distance(typed, a, nil) - levenshtein.Distance(typed, b, nil)
	})
}

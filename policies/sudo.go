package policies

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies/sudo"
	"nomad-reconcile/state/job"
)

// sudoRules are the IDs of what a sudo block may find.
var sudoRules = []string{"sudo.preserve_env", "sudo.cannot_tell"}

// sudoInvariant forbids sudo to preserve the caller's environment.
type sudoInvariant struct{ terms }

func (d *decoder) sudo(b *hcl.Block, inherited terms) sudoInvariant {
	schema := schemaOf(termNames)
	schema.Attributes = append(schema.Attributes, hcl.AttributeSchema{Name: "preserve_env"})
	before := len(d.diags.Errs())
	attrs := d.content(b.Body, schema).Attributes
	switch a := attrs["preserve_env"]; {
	case a == nil && len(d.diags.Errs()) == before: // a mistyped name is one mistake, not two
		d.fail(b.DefRange, "Nothing to hold", "A sudo block needs preserve_env = false.")
	case a != nil && d.boolean(a):
		d.fail(a.Expr.Range(), "Nothing to hold",
			"preserve_env can only be false, which forbids sudo to preserve the environment. To allow it, leave the sudo block out.")
	}
	return sudoInvariant{d.terms(attrs, inherited)}
}

func (s sudoInvariant) check(at place) ([]finding, hcl.Diagnostics) {
	var out []finding
	line := commandLineOf(at.task.Config, at.path.Attr("config"))
	for _, f := range sudo.InArgs(line.words) {
		out = append(out, s.about(f, line.at(f.Index), line.words[f.Index]))
	}
	for i, t := range at.task.Templates {
		if t == nil || t.EmbeddedTmpl == nil {
			continue
		}
		for _, f := range sudo.InTemplate(templateOf(t)) {
			out = append(out, s.about(f, at.path.Elem("template", i).Attr("data"), *t.EmbeddedTmpl))
		}
	}
	return out, nil
}

func templateOf(t *api.Template) sudo.Template {
	out := sudo.Template{
		Data: *t.EmbeddedTmpl, Left: delimiter(t.LeftDelim, "{{"), Right: delimiter(t.RightDelim, "}}"),
	}
	if t.DestPath != nil {
		out.Destination = *t.DestPath
	}
	if t.Perms != nil {
		mode, err := strconv.ParseUint(*t.Perms, 8, 32)
		out.Executable = err == nil && mode&0o111 != 0
	}
	return out
}

// about is the finding for a place in a string of the task.
func (s sudoInvariant) about(f sudo.Found, where job.Path, in string) finding {
	if f.Doubt != "" {
		word := job.RedactText(shortened(f.Arg))
		return doubt("sudo.cannot_tell", "", where, "cannot tell: "+strings.Replace(f.Doubt, "%s", word, 1)+lineOf(f, in))
	}
	edits := withoutPreserve(f, where, in)
	if len(edits) == 0 { // a subject of its own, or the fix of another one would seem to mend nothing
		return s.finding("sudo.preserve_env", "by hand: "+f.Arg, where, preserveMessage(f)+lineOf(f, in))
	}
	return s.finding("sudo.preserve_env", f.Arg, where, preserveMessage(f), edits...)
}

func preserveMessage(f sudo.Found) string {
	arg, _, _ := strings.Cut(f.Arg, "=")
	return fmt.Sprintf("sudo is asked to preserve the caller's environment (%s); without SETENV in sudoers it refuses to run the command"+
		" (sudo-rs ignores -E): keep what is needed by env_keep in sudoers", job.RedactText(shortened(arg)))
}

// shortened is a word of a script for a message: one line, and not a long one.
func shortened(word string) string {
	const most = 40
	word = strings.Join(strings.Fields(word), " ")
	if r := []rune(word); len(r) > most {
		word = string(r[:most]) + "..."
	}
	return word
}

// lineOf names the line in a text of several, where no edit points at it.
func lineOf(f sudo.Found, in string) string {
	if !strings.Contains(strings.TrimSpace(in), "\n") {
		return ""
	}
	return fmt.Sprintf(" (line %d of the script)", strings.Count(in[:f.Start], "\n")+1)
}

func withoutPreserve(f sudo.Found, where job.Path, in string) []job.Edit {
	switch {
	case f.Whole:
		return []job.Edit{{Path: where, Op: job.Remove, Value: cty.StringVal(in)}}
	case f.Mend == nil:
		return nil
	case !f.Script:
		return []job.Edit{{Path: where, Op: job.Set, Value: cty.StringVal(in[:f.Start] + *f.Mend + in[f.End:])}}
	}
	return []job.Edit{{Path: where, Op: job.Replace, Old: in[f.Start:f.End], At: f.Start, Value: cty.StringVal(*f.Mend)}}
}

// commandLine is what a task runs, the command first, and where in its config the
// words stand.
type commandLine struct {
	words  []string
	config job.Path
	parts  []part
}

// part is one attribute of a config that gives words to a command line.
type part struct {
	name   string
	words  []string
	single bool // a string, not a list
}

// at is the place of a word.
func (c commandLine) at(i int) job.Path {
	for _, p := range c.parts {
		if i < len(p.words) {
			if p.single {
				return c.config.Attr(p.name)
			}
			return c.config.Elem(p.name, i)
		}
		i -= len(p.words)
	}
	return c.config
}

// commandLineOf is what a task's config runs: `command` and `args`, after an
// `entrypoint` if that is known to run what follows it. What an image adds of its
// own is not known here.
func commandLineOf(config map[string]any, where job.Path) commandLine {
	entrypoint, command, args := partOf(config, "entrypoint"), partOf(config, "command"), partOf(config, "args")
	if len(entrypoint.words) > 0 && sudo.Runs(entrypoint.words[0]) {
		return lineOfParts(where, entrypoint, command, args)
	}
	return lineOfParts(where, command, args)
}

func lineOfParts(where job.Path, parts ...part) commandLine {
	c := commandLine{config: where, parts: parts}
	for _, p := range parts {
		c.words = append(c.words, p.words...)
	}
	return c
}

// partOf is an attribute of a config as the driver will read it: numbers and bools
// in a list become their text.
func partOf(config map[string]any, name string) part {
	switch v := config[name].(type) {
	case string:
		if v != "" {
			return part{name, []string{v}, true}
		}
	case []any:
		words := make([]string, len(v))
		for i, e := range v {
			words[i] = fmt.Sprint(e)
		}
		return part{name, words, false}
	}
	return part{name: name}
}

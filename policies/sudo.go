package policies

import (
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
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
	list, args, offset := sudoArgs(at.task.Config)
	var out []finding
	for _, o := range sudo.PreserveEnv(args) {
		where := at.path.Attr("config").Elem(list, offset+o.Index)
		out = append(out, s.finding("sudo.preserve_env", o.Arg, where, preserveMessage(o), withoutPreserve(where, o)))
	}
	return out, nil
}

func preserveMessage(o sudo.Occurrence) string {
	arg, _, _ := strings.Cut(o.Arg, "=")
	return fmt.Sprintf("sudo is asked to preserve the caller's environment (%s); without SETENV in sudoers it refuses to run the command", arg)
}

func withoutPreserve(where job.Path, o sudo.Occurrence) job.Edit {
	if o.Replacement == nil {
		return job.Edit{Path: where, Op: job.Remove, Value: cty.StringVal(o.Arg)}
	}
	return job.Edit{Path: where, Op: job.Set, Value: cty.StringVal(*o.Replacement)}
}

// sudoArgs finds a sudo command line in a task's config: the command is sudo, or
// the words of `command` or `args` begin with it, as drivers with an image allow.
// It gives the list's name, the words after sudo, and the position of the first.
func sudoArgs(config map[string]any) (list string, args []string, offset int) {
	command, isText := config["command"].(string)
	if isText && isSudo(command) {
		return "args", wordsOf(config["args"]), 0
	}
	if words := wordsOf(config["command"]); len(words) > 0 && isSudo(words[0]) {
		return "command", words[1:], 1
	}
	if words := wordsOf(config["args"]); command == "" && len(words) > 0 && isSudo(words[0]) {
		return "args", words[1:], 1
	}
	return "", nil, 0
}

func isSudo(word string) bool { return path.Base(word) == "sudo" }

// wordsOf is a list in a config as the driver will read it: numbers and bools
// become their text.
func wordsOf(v any) []string {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	words := make([]string, len(list))
	for i, e := range list {
		words[i] = fmt.Sprint(e)
	}
	return words
}

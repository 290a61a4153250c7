package gates

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/gohcl"
	"github.com/hashicorp/nomad/api"
)

const defaultWindow = 15 * time.Second

// logs reads stdout and stderr of the new allocations from their start. A line
// that is forbidden fails it at once; at the end of the window every required
// pattern must have been seen in every allocation, and where something is
// forbidden every stream must have been read: what was not read proves nothing.
type logs struct {
	task            string // empty: every task
	forbid, require []*regexp.Regexp
	window          time.Duration
	taskRange       hcl.Range
}

type logsBody struct {
	Task    hcl.Expression `hcl:"task,optional"`
	Forbid  hcl.Expression `hcl:"forbid,optional"`
	Require hcl.Expression `hcl:"require,optional"`
	Window  hcl.Expression `hcl:"window,optional"`
}

func decodeLogs(body hcl.Body) (any, hcl.Diagnostics) {
	var b logsBody
	diags := gohcl.DecodeBody(body, nil, &b)
	if diags.HasErrors() {
		return nil, diags
	}
	l := &logs{window: defaultWindow, taskRange: b.Task.Range()}
	diags = append(diags, decode(b.Task, &l.task)...)
	l.forbid = patterns(b.Forbid, &diags)
	l.require = patterns(b.Require, &diags)
	window := ""
	diags = append(diags, decode(b.Window, &window)...)
	if window != "" {
		d, err := time.ParseDuration(window)
		if err != nil || d <= 0 {
			diags = append(diags, mistake(b.Window.Range(), "Bad duration", fmt.Sprintf("%q is not a duration such as \"15s\" or \"1m\".", window)))
		}
		l.window = d
	}
	if len(l.forbid)+len(l.require) == 0 && !diags.HasErrors() {
		diags = append(diags, mistake(body.MissingItemRange(), "Empty logs gate", "Say what the log must not hold (forbid) or must hold (require)."))
	}
	return l, diags
}

// decode leaves the target alone where the attribute is not given.
func decode[T any](e hcl.Expression, into *T) hcl.Diagnostics {
	if v, _ := e.Value(nil); v.IsNull() {
		return nil
	}
	return gohcl.DecodeExpression(e, nil, into)
}

func patterns(e hcl.Expression, diags *hcl.Diagnostics) []*regexp.Regexp {
	var texts []string
	*diags = append(*diags, decode(e, &texts)...)
	out := make([]*regexp.Regexp, 0, len(texts))
	for _, text := range texts {
		re, err := regexp.Compile(text)
		if err != nil {
			*diags = append(*diags, mistake(e.Range(), "Bad regular expression", fmt.Sprintf("%q: %v.", text, err)))
			continue
		}
		out = append(out, re)
	}
	return out
}

func mistake(r hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &r}
}

// CheckJob: a task that the job lacks would make the gate pass unseen.
func (l *logs) CheckJob(j *api.Job) hcl.Diagnostics {
	if l.task == "" {
		return nil
	}
	var names []string
	for _, g := range j.TaskGroups {
		for _, t := range g.Tasks {
			if t.Name == l.task {
				return nil
			}
			names = append(names, t.Name)
		}
	}
	return hcl.Diagnostics{mistake(l.taskRange, "No such task",
		fmt.Sprintf("The job has no task %q; its tasks: %s.", l.task, strings.Join(names, ", ")))}
}

// String says for a plan what the gate asks.
func (l *logs) String() string {
	var parts []string
	if len(l.forbid) > 0 {
		parts = append(parts, "no line matches "+quoted(l.forbid))
	}
	for _, re := range l.require {
		parts = append(parts, fmt.Sprintf("%q is logged", re))
	}
	return fmt.Sprintf("%s, within %s", strings.Join(parts, ", "), l.window)
}

func quoted(patterns []*regexp.Regexp) string {
	var out []string
	for _, re := range patterns {
		out = append(out, fmt.Sprintf("%q", re))
	}
	return strings.Join(out, " or ")
}

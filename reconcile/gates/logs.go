package gates

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
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

func decodeLogs(_ string, body hcl.Body) (any, hcl.Diagnostics) {
	a := attributesOf(body, keys["logs"])
	l := &logs{task: a.text("task", ""), taskRange: a.at("task"), window: a.duration("window", defaultWindow)}
	l.forbid, l.require = a.patterns("forbid"), a.patterns("require")
	if len(l.forbid)+len(l.require) == 0 && !a.diags.HasErrors() {
		a.fail("", "Empty logs gate", "Say what the log must not hold (forbid) or must hold (require).")
	}
	return l, a.diags
}

func (a *attributes) patterns(name string) []*regexp.Regexp {
	texts := a.texts(name)
	out := make([]*regexp.Regexp, 0, len(texts))
	for _, text := range texts {
		re, err := regexp.Compile(text)
		if err != nil {
			a.fail(name, "Bad regular expression", "%q: %v.", text, err)
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

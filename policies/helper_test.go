package policies_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
)

// logsSpec stands in for the gate of that name, which is built elsewhere.
type logsSpec struct{ Task string }

func (l logsSpec) CheckJob(j *api.Job) hcl.Diagnostics {
	for _, g := range j.TaskGroups {
		for _, t := range g.Tasks {
			if l.Task == "" || t.Name == l.Task {
				return nil
			}
		}
	}
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "No such task", Detail: "The job has no task " + l.Task + "."}}
}

func decodeLogs(_ string, body hcl.Body) (any, hcl.Diagnostics) {
	content, diags := body.Content(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{
		{Name: "task"}, {Name: "forbid"}, {Name: "require"}, {Name: "window"},
	}})
	spec := logsSpec{}
	if a := content.Attributes["task"]; a != nil {
		v, more := a.Expr.Value(nil)
		diags = append(diags, more...)
		if !more.HasErrors() && v.Type() == cty.String {
			spec.Task = v.AsString()
		}
	}
	return spec, diags
}

var kinds = map[string]policies.Kind{"logs": decodeLogs}

// load reads one file, which must hold no mistake.
func load(t testing.TB, src string) *policies.Set {
	t.Helper()
	s, diags := policies.Load([]policies.Source{{Name: "test.policy.hcl", Bytes: []byte(src)}}, policies.Options{Gates: kinds})
	if diags.HasErrors() {
		t.Fatalf("%s\nin:\n%s", diags, src)
	}
	return s
}

// check holds a job against the set; the job must come out as it went in.
func check(t testing.TB, s *policies.Set, j *api.Job) policies.Verdict {
	t.Helper()
	before := job.Clone(j)
	v, diags := s.Check(policies.FileSide, j, nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if !job.Equal(before, j) {
		t.Error("Check changed the job")
	}
	return v
}

// newJob has group "g" with the given tasks.
func newJob(id string, tasks ...*api.Task) *api.Job {
	return &api.Job{ID: &id, Name: &id, TaskGroups: []*api.TaskGroup{{Name: new("g"), Tasks: tasks}}}
}

func sudoTask(name string, args ...any) *api.Task {
	return &api.Task{Name: name, Driver: "raw_exec", Config: map[string]any{"command": "sudo", "args": args}}
}

// lines renders findings: RULE (enforce, fixable) PATH: MESSAGE, and an indented
// line per edit. The path is told from the task on.
func lines(findings []policies.Finding) []string {
	var out []string
	for _, f := range findings {
		flags := string(f.Enforce)
		if f.Fixable() {
			flags += ", fixable"
		}
		out = append(out, fmt.Sprintf("%s (%s) %s: %s", f.Rule, flags, short(f.Path), f.Message))
		for _, e := range f.Edits {
			out = append(out, "  "+edit(e))
		}
	}
	return out
}

func edit(e job.Edit) string {
	value := ""
	if e.Value.Type() == cty.String {
		value = strconv.Quote(e.Value.AsString())
	} else if e.Value.Type() == cty.Number {
		value = e.Value.AsBigFloat().String()
	}
	if e.Op == job.Set {
		return fmt.Sprintf("set %s = %s", short(e.Path), value)
	}
	return strings.TrimRight(fmt.Sprintf("%s %s %s", e.Op, short(e.Path), value), " ")
}

func short(p job.Path) string {
	return strings.TrimPrefix(p.String(), `group["g"].`)
}

func edits(v policies.Verdict) []string {
	var out []string
	for _, e := range v.Edits {
		out = append(out, edit(e))
	}
	return out
}

const sudoMessage = "sudo is asked to preserve the caller's environment (-E); without SETENV in sudoers it refuses to run the command (sudo-rs ignores -E): keep what is needed by env_keep in sudoers"

var uuidPattern = regexp.MustCompile(`"?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"?`)

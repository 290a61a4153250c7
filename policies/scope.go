package policies

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// What expressions about a job, a group and a task see.
var (
	jobVariables  = []string{"job", "live"}
	taskVariables = []string{"job", "group", "task", "live"}
)

// uses are the attributes that the expressions of a set ask of job, group, task and
// live. Only these are made: to turn a whole job into values costs more than to
// parse its file.
type uses map[string]map[string]bool

// whole stands for every attribute.
const whole = ""

func (u uses) add(t hcl.Traversal) {
	root := t.RootName()
	if u[root] == nil {
		u[root] = map[string]bool{}
	}
	name := whole
	if len(t) > 1 {
		switch step := t[1].(type) {
		case hcl.TraverseAttr:
			name = step.Name
		case hcl.TraverseIndex:
			if step.Key.Type() == cty.String && step.Key.IsKnown() {
				name = step.Key.AsString()
			}
		}
	}
	u[root][name] = true
}

func (u uses) project(root string, part any) cty.Value {
	if u[root][whole] {
		return job.ValueOf(part)
	}
	return job.Project(part, u[root])
}

// scope is one job as expressions see it: Nomad's defaults filled in, on a copy
// that is made when the first expression asks. Paths and edits are about the job
// as given.
type scope struct {
	given, live *api.Job
	uses        uses
	filled      *api.Job
	values      map[slot]cty.Value
	tasks       []taskFacts // in order; made when first asked for
}

// taskFacts are what every policy asks about a task.
type taskFacts struct {
	*api.Task
	path        job.Path
	group, slot int
	env         *environment // made when first asked for
}

func (s *scope) allTasks() []taskFacts {
	if s.tasks != nil {
		return s.tasks
	}
	for g, group := range s.given.TaskGroups {
		for t, task := range group.Tasks {
			if !skipped(task) {
				s.tasks = append(s.tasks, taskFacts{Task: task, path: taskPath(group, task), group: g, slot: t})
			}
		}
	}
	return s.tasks
}

func (t *taskFacts) environment() *environment {
	if t.env == nil {
		t.env = environmentOf(t.Task, t.path)
	}
	return t.env
}

// slot is a value that expressions share: the job's and the live one's have no
// position, a group's no task.
type slot struct {
	root        string
	group, task int
}

func newScope(j, live *api.Job, u uses) *scope {
	return &scope{given: j, live: live, uses: u}
}

func canonical(j *api.Job) *api.Job {
	if j == nil {
		return nil
	}
	j = job.Clone(j)
	j.Canonicalize()
	return j
}

func (s *scope) canonical() *api.Job {
	if s.filled == nil {
		s.filled = canonical(s.given)
	}
	return s.filled
}

func (s *scope) value(at slot) cty.Value {
	v, ok := s.values[at]
	if !ok {
		v = s.make(at)
		if s.values == nil {
			s.values = map[slot]cty.Value{}
		}
		s.values[at] = v
	}
	return v
}

func (s *scope) make(at slot) cty.Value {
	switch at.root {
	case "live":
		if s.live == nil {
			return cty.NullVal(cty.DynamicPseudoType)
		}
		return s.uses.project(at.root, canonical(s.live))
	case "group":
		return s.uses.project(at.root, s.canonical().TaskGroups[at.group])
	case "task":
		return s.uses.project(at.root, s.canonical().TaskGroups[at.group].Tasks[at.task])
	}
	return s.uses.project(at.root, s.jobAlone())
}

// jobAlone is the job for expressions that do not look into its groups, which are
// most of it.
func (s *scope) jobAlone() *api.Job {
	if s.filled != nil || s.uses["job"][whole] || s.uses["job"]["group"] {
		return s.canonical()
	}
	j := *s.given
	j.TaskGroups = nil
	return canonical(&j)
}

// place is what a block of a policy is asked about: a task, or for rules a group
// or the job, or an element of one of these.
type place struct {
	scope       *scope
	params      map[string]cty.Value // the variables and locals of the policy's file
	task        *taskFacts           // nil for a group or the job
	path        job.Path
	group, slot int      // the group's position in the job, the task's in the group; -1 for none
	each        *element // of a rule with for_each
}

// element is one of those that for_each goes over.
type element struct {
	key, value cty.Value
	path       job.Path
}

// context is what an expression that refers to these roots is evaluated in.
func (p place) context(roots []string) *hcl.EvalContext {
	vars := make(map[string]cty.Value, len(roots))
	for _, root := range roots {
		switch root {
		case "var", "local":
			vars[root] = p.params[root]
		case "each":
			vars[root] = cty.ObjectVal(map[string]cty.Value{"key": p.each.key, "value": p.each.value})
		case "job", "live":
			vars[root] = p.scope.value(slot{root, -1, -1})
		case "group":
			vars[root] = p.scope.value(slot{root, p.group, -1})
		case "task":
			vars[root] = p.scope.value(slot{root, p.group, p.slot})
		}
	}
	return &hcl.EvalContext{Functions: functions, Variables: vars}
}

// root is the path of what a reference starts with.
func (p place) root(name string) (job.Path, bool) {
	switch {
	case name == "job":
		return job.Path{}, true
	case name == "group" && p.group >= 0:
		return groupPath(p.scope.given.TaskGroups[p.group]), true
	case name == "task" && p.task != nil:
		return p.task.path, true
	}
	return nil, false
}

// pathOf is the place that a reference such as task.resources.memory or each.value
// names; an index may be computed.
func (p place) pathOf(e hcl.Expression, roots []string) (job.Path, hcl.Diagnostics) {
	steps, diags := traversalOf(e, p.context(roots))
	if diags.HasErrors() {
		return nil, diags
	}
	path, ok := p.follow(steps)
	if !ok {
		return nil, hcl.Diagnostics{failure(e.Range(), "Not a place", "%s.", "A place is written like task.resources.memory or each.value.port")}
	}
	return path, nil
}

// follow turns a traversal into a path of the whole job.
func (p place) follow(t hcl.Traversal) (job.Path, bool) {
	if t.RootName() == "each" {
		if p.each == nil || len(t) < 2 {
			return nil, false
		}
		if step, ok := t[1].(hcl.TraverseAttr); !ok || step.Name != "value" {
			return nil, false
		}
		return below(p.each.path, t[2:])
	}
	base, ok := p.root(t.RootName())
	if !ok {
		return nil, false
	}
	return below(base, t[1:])
}

// below goes on from a path; whether an index is a label depends on the names
// before it.
func below(base job.Path, steps hcl.Traversal) (job.Path, bool) {
	if len(steps) == 0 {
		return base, true
	}
	path, err := base.Follow(steps)
	return path, err == nil
}

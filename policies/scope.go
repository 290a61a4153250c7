package policies

import (
	"maps"
	"slices"

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

// uses are what the expressions of a set ask of job, group, task and live. Only
// these are made: to turn a whole job into values costs more than to parse its file.
type uses job.Names

// add notes what a reference asks for.
func (u uses) add(t hcl.Traversal) {
	root := t.RootName()
	if at, ok := partTypes[root]; ok {
		note(job.Names(u), root, fieldNames(at, t[1:]))
	}
}

// addElements notes what is asked of the elements at a place: all of them, what a
// path leads to, or only which there are.
func (u uses) addElements(o over, path []string, whole bool) {
	if whole || len(path) > 0 {
		note(job.Names(u), o.root, append([]string{o.name}, path...))
		return
	}
	below, known := u[o.root]
	if !known {
		below = job.Names{}
		u[o.root] = below
	}
	if _, known := below[o.name]; !known && below != nil {
		below[o.name] = job.Names{}
	}
}

// note adds what is asked of one part to what others ask of it.
func note(parent job.Names, name string, path []string) {
	below, known := parent[name]
	switch {
	case known && below == nil:
	case len(path) == 0:
		parent[name] = nil
	default:
		if !known {
			below = job.Names{}
			parent[name] = below
		}
		note(below, path[0], path[1:])
	}
}

func (u uses) project(root string, part any) cty.Value { return job.Project(part, u[root]) }

// asks reports whether that part of a root is asked for.
func (u uses) asks(root, name string) bool {
	names, ok := u[root]
	if !ok || names == nil {
		return ok
	}
	_, ok = names[name]
	return ok
}

// scope is one job as expressions see it: Nomad's defaults filled in, on a copy
// that is made when the first expression asks. Paths and edits are about the job
// as given.
type scope struct {
	given, live *api.Job
	uses        uses
	filled      *api.Job
	contexts    map[slot]*hcl.EvalContext
	over        map[slotOver][]element
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

// slot is what expressions are asked about: a task, a group with no task, or the
// job with neither, -1 for none.
type slot struct{ group, task int }

// slotOver is a place that rules of a slot go over.
type slotOver struct {
	slot
	name string
}

func newScope(j, live *api.Job, u uses) *scope {
	return &scope{given: j, live: live, uses: u}
}

// edited is the scope of the job with edits made. What expressions see of the job
// itself stays what it is where the edits are all in its groups.
func (s *scope) edited(mended *api.Job, edits []authored) *scope {
	out := newScope(mended, s.live, s.uses)
	outside := func(e authored) bool { return e.Path[0].Name != "group" }
	whole := slot{-1, -1}
	if seen := s.contexts[whole]; seen != nil && !s.uses.asks("job", "group") && !slices.ContainsFunc(edits, outside) {
		maps.Copy(out.context(whole).Variables, seen.Variables)
	}
	return out
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

// context is what all expressions about a slot share: its own root, and below it
// those of what the slot is in. Roots are made when first asked for.
func (s *scope) context(at slot) *hcl.EvalContext {
	ctx := s.contexts[at]
	if ctx != nil {
		return ctx
	}
	switch {
	case at.task >= 0:
		ctx = s.context(slot{at.group, -1}).NewChild()
	case at.group >= 0:
		ctx = s.context(slot{-1, -1}).NewChild()
	default:
		ctx = withFunctions.NewChild()
	}
	ctx.Variables = make(map[string]cty.Value, 1)
	if s.contexts == nil {
		s.contexts = map[slot]*hcl.EvalContext{}
	}
	s.contexts[at] = ctx
	return ctx
}

var withFunctions = &hcl.EvalContext{Functions: functions}

// value is the value of a root for a slot.
func (s *scope) value(root string, at slot) cty.Value {
	switch root {
	case "job", "live":
		at = slot{-1, -1}
	case "group":
		at.task = -1
	}
	ctx := s.context(at)
	v, ok := ctx.Variables[root]
	if !ok {
		v = s.make(root, at)
		ctx.Variables[root] = v
	}
	return v
}

func (s *scope) make(root string, at slot) cty.Value {
	switch root {
	case "live":
		if s.live == nil {
			return cty.NullVal(cty.DynamicPseudoType)
		}
		return s.uses.project(root, canonical(s.live))
	case "group":
		return s.uses.project(root, s.canonical().TaskGroups[at.group])
	case "task":
		return s.uses.project(root, s.canonical().TaskGroups[at.group].Tasks[at.task])
	}
	return s.uses.project(root, s.jobAlone())
}

// jobAlone is the job for expressions that do not look into its groups, which are
// most of it.
func (s *scope) jobAlone() *api.Job {
	if s.filled != nil || s.uses.asks("job", "group") {
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
	path       job.Path         // nil until a finding needs it
	context    *hcl.EvalContext // nil until an expression needs it
}

// context is what an expression that refers to these roots is evaluated in.
func (p place) context(roots []string) *hcl.EvalContext {
	at := slot{p.group, p.slot}
	params := false
	for _, root := range roots {
		switch root {
		case "var", "local":
			params = true
		case "job", "live", "group", "task":
			p.scope.value(root, at)
		}
	}
	ctx := p.scope.context(at)
	if p.each != nil {
		if p.each.context == nil {
			p.each.context = ctx.NewChild()
			p.each.context.Variables = map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": p.each.key, "value": p.each.value})}
		}
		ctx = p.each.context
	}
	if params {
		ctx = ctx.NewChild()
		ctx.Variables = p.params
	}
	return ctx
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

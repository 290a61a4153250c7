package policies

import (
	"maps"
	"reflect"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// partTypes are what the roots of references to a job are made of.
var partTypes = map[string]reflect.Type{
	"job": reflect.TypeFor[api.Job](), "live": reflect.TypeFor[api.Job](),
	"group": reflect.TypeFor[api.TaskGroup](), "task": reflect.TypeFor[api.Task](),
}

// names reports a reference to what no job file has. Such a typo must not wait for
// the first job, and inside try it would never be seen.
func (d *decoder) names(t hcl.Traversal) {
	if _, diag := d.resolve(t); diag != nil {
		d.diags = append(d.diags, diag)
	}
}

// resolve is the type of what a reference leads to: nil where only a job can tell.
func (d *decoder) resolve(t hcl.Traversal) (reflect.Type, *hcl.Diagnostic) {
	if t.RootName() != "each" {
		return follow(partTypes[t.RootName()], t.RootName(), t[1:])
	}
	if len(t) < 2 {
		return nil, nil
	}
	switch name, _ := second(t); name {
	case "key":
		return nil, nil
	case "value":
		return follow(d.over.element, "each.value", t[2:])
	default:
		return nil, failure(t.SourceRange(), "Unknown attribute", "each has key and value, not %q.%s", name, didYouMean(name, []string{"key", "value"}))
	}
}

// follow takes steps from a type on, which the parent has.
func follow(at reflect.Type, parent string, steps hcl.Traversal) (reflect.Type, *hcl.Diagnostic) {
	for _, step := range steps {
		at = pointed(at)
		if at == nil {
			return nil, nil
		}
		name := stepName(step)
		switch {
		case at.Kind() == reflect.Struct && name != "":
			known := fieldTypes(at)
			next, ok := known[name]
			if !ok {
				return nil, failure(step.SourceRange(), "Unknown attribute", "Job files have no %q in %s.%s", name, parent, didYouMean(name, slices.Sorted(maps.Keys(known))))
			}
			at, parent = next, name
		case at.Kind() == reflect.Slice && isLabelled(at.Elem()):
			at = at.Elem()
		case at.Kind() == reflect.Slice && name != "":
			return nil, failure(step.SourceRange(), "Not a block", "There may be several of %s: write %s[0].%s for the first, %s[*].%s for all.", parent, parent, name, parent, name)
		case at.Kind() == reflect.Slice:
			at = at.Elem()
		default:
			return nil, nil
		}
	}
	return at, nil
}

func pointed(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// stepName is what a step of a reference names; empty for a position.
func stepName(step hcl.Traverser) string {
	switch step := step.(type) {
	case hcl.TraverseAttr:
		return step.Name
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String && step.Key.IsKnown() && !step.Key.IsNull() {
			return step.Key.AsString()
		}
	}
	return ""
}

// fieldTypes are the attributes, blocks and labels that expressions see.
func fieldTypes(t reflect.Type) map[string]reflect.Type {
	out := map[string]reflect.Type{}
	for _, f := range job.Fields(t) {
		out[f.Name] = f.Type
	}
	delete(out, "reserved_ports") // shown as port
	return out
}

func isLabelled(t reflect.Type) bool {
	t = pointed(t)
	return t.Kind() == reflect.Struct && slices.ContainsFunc(job.Fields(t), func(f job.Field) bool { return f.Kind == job.LabelField })
}

// over is what a rule with for_each goes over.
type over struct {
	element    reflect.Type // of each.value; nil where only a job can tell
	root, name string       // of a place such as group.service; empty of others
}

func (d *decoder) overOf(e hcl.Expression) over {
	place, ok := e.(*hclsyntax.ScopeTraversalExpr)
	if !ok {
		return over{}
	}
	var o over
	at, _ := d.resolve(place.Traversal)
	if at = pointed(at); at != nil && at.Kind() == reflect.Slice {
		o.element = at.Elem()
	}
	if len(place.Traversal) == 2 && at != nil {
		o.root = place.Traversal.RootName()
		o.name, _ = second(place.Traversal)
	}
	return o
}

// fieldNames are the attributes and blocks that lead to what is asked for, as far
// as they are the same in all jobs.
func fieldNames(at reflect.Type, steps hcl.Traversal) (names []string) {
	for _, step := range steps {
		switch at = pointed(at); {
		case at == nil:
			return names
		case at.Kind() == reflect.Struct:
			next, ok := fieldTypes(at)[stepName(step)]
			if !ok {
				return names
			}
			names, at = append(names, stepName(step)), next
		case at.Kind() == reflect.Slice:
			at = at.Elem()
		default:
			return names
		}
	}
	return names
}

package policies

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// expression is an expression of a policy file, checked, with the roots of what it
// refers to.
type expression struct {
	hcl.Expression
	roots []string
}

// expression reports at load what could otherwise hide inside can and try until
// the day it matters: functions and variables that do not exist, and patterns
// that do not compile. It says whether the expression is free of these.
func (d *decoder) expression(e hcl.Expression, variables ...string) (expression, bool) {
	before := len(d.diags)
	out := expression{Expression: e}
	types := d.calls(e)
	for _, t := range e.Variables() {
		if insideAny(types, t.SourceRange()) {
			continue
		}
		d.variable(t, variables)
		if slices.Contains(variables, t.RootName()) {
			d.names(t)
		}
		out.roots = d.needs(t, out.roots)
	}
	return out, len(d.diags) == before
}

// needs notes what a reference asks for, and its root.
func (d *decoder) needs(t hcl.Traversal, roots []string) []string {
	root := t.RootName()
	if root == "each" {
		d.needsOfEach(t)
	} else {
		d.uses.add(t)
	}
	if slices.Contains(roots, root) {
		return roots
	}
	return append(roots, root)
}

// needsOfEach notes what a rule asks of what it goes over.
func (d *decoder) needsOfEach(t hcl.Traversal) {
	if d.over.name == "" {
		return
	}
	name, _ := second(t)
	whole := name != "key" && (name != "value" || d.over.element == nil)
	var path []string
	if !whole && name == "value" {
		path = fieldNames(d.over.element, t[2:])
		whole = len(path) == 0
	}
	d.uses.addElements(d.over, path, whole)
}

// place is an expression that names a place. What stands there is not read by it,
// but for what its indices are made of.
func (d *decoder) place(e hcl.Expression, variables []string, detail string) (expression, bool) {
	before := len(d.diags)
	d.calls(e)
	for _, t := range e.Variables() {
		d.variable(t, variables)
		if slices.Contains(variables, t.RootName()) {
			d.names(t)
		}
	}
	ok := len(d.diags) == before
	if ok && !isPlace(e, variables) {
		d.fail(e.Range(), "Not a place", "%s", detail)
	}
	out := expression{Expression: e}
	for _, t := range indices(e) {
		out.roots = d.needs(t, out.roots)
	}
	return out, ok
}

// indices are the references in the computed indices of a place.
func indices(e hcl.Expression) []hcl.Traversal {
	switch e := e.(type) {
	case *hclsyntax.RelativeTraversalExpr:
		return indices(e.Source)
	case *hclsyntax.IndexExpr:
		return append(indices(e.Collection), e.Key.Variables()...)
	}
	return nil
}

// calls checks the function calls of an expression and returns where it holds
// type constraints, the second argument of convert, which only look like calls
// and variables.
func (d *decoder) calls(e hcl.Expression) (types []hcl.Range) {
	node, ok := e.(hclsyntax.Node)
	if !ok {
		return nil
	}
	_ = hclsyntax.VisitAll(node, func(n hclsyntax.Node) hcl.Diagnostics {
		call, ok := n.(*hclsyntax.FunctionCallExpr)
		if !ok || insideAny(types, call.Range()) {
			return nil
		}
		d.call(call)
		if call.Name == "convert" && len(call.Args) == 2 {
			types = append(types, call.Args[1].Range())
		}
		return nil
	})
	return types
}

// typed is an expression for a place that needs a type. One that no job can give
// another value is told of it at load.
func (d *decoder) typed(a *hcl.Attribute, want cty.Type, variables ...string) expression {
	e, ok := d.expression(a.Expr, variables...)
	if !ok || slices.ContainsFunc(e.roots, func(root string) bool { return root != "var" && root != "local" }) {
		return e
	}
	v, diags := e.Value(&hcl.EvalContext{Functions: functions, Variables: d.params})
	d.diags = append(d.diags, diags...)
	if diags.HasErrors() || !v.IsWhollyKnown() {
		return e
	}
	if out, err := convert.Convert(v, want); err != nil || out.IsNull() {
		d.fail(e.Range(), "Wrong type", "%s must be %s%s.", a.Name, article(want.FriendlyName()), given(v))
	}
	return e
}

func insideAny(outer []hcl.Range, r hcl.Range) bool {
	return slices.ContainsFunc(outer, func(o hcl.Range) bool {
		return o.Start.Byte <= r.Start.Byte && r.End.Byte <= o.End.Byte
	})
}

func (d *decoder) call(call *hclsyntax.FunctionCallExpr) {
	if _, ok := functions[call.Name]; !ok {
		known := slices.Sorted(maps.Keys(functions))
		d.fail(call.NameRange, "Unknown function", "Policies have no function %q.%s", call.Name, functionHint(call.Name, known))
		return
	}
	if call.Name != "matches" || len(call.Args) == 0 {
		return
	}
	constants := &hcl.EvalContext{Functions: functions, Variables: d.params}
	if v, diags := call.Args[0].Value(constants); !diags.HasErrors() && v.Type() == cty.String && v.IsKnown() && !v.IsNull() {
		d.regexp(call.Args[0].Range(), v.AsString())
	}
}

func functionHint(name string, known []string) string {
	switch name {
	case "abspath", "basename", "dirname", "file", "filebase64", "fileexists", "fileset", "pathexpand":
		return " They have those of job files without the ones that look at files."
	}
	return didYouMean(name, known)
}

func (d *decoder) variable(t hcl.Traversal, known []string) {
	name := t.RootName()
	switch {
	case name == "var" || name == "local":
		d.parameter(t)
	case slices.Contains(known, name):
	case len(known) == 0:
		d.fail(t.SourceRange(), "No variables here", "The value must be a constant; %q is known only when a job is checked.", name)
	default:
		d.fail(t.SourceRange(), "Unknown variable", "Expressions here see %s, not %q.%s%s",
			strings.Join(known, ", "), name, didYouMean(name, known), interpolationHint(name))
	}
}

func interpolationHint(name string) string {
	switch name {
	case "node", "attr", "meta", "env":
		return " For one of Nomad's runtime interpolations write $${...}."
	}
	return ""
}

// evaluate gives an expression the type that its place needs. A value that is
// null, or that cannot be had, is an error at the expression, never a pass.
func evaluate(e expression, at place, want cty.Type, what string) (cty.Value, hcl.Diagnostics) {
	ctx := at.context(e.roots)
	v, diags := e.Value(ctx)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	if v.Type() == want && v.IsKnown() && !v.IsNull() { // as nearly always
		return v, nil
	}
	out, err := convert.Convert(v, want)
	if err != nil || out.IsNull() || !out.IsKnown() {
		diag := failure(e.Range(), "Wrong type", "%s must be %s%s.", what, article(want.FriendlyName()), given(v))
		diag.Expression, diag.EvalContext = e.Expression, ctx
		return cty.NilVal, hcl.Diagnostics{diag}
	}
	return out, nil
}

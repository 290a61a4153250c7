package policies

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// parameters are the variables and locals of one policy file while it is read.
type parameters struct {
	*decoder
	vars   map[string]cty.Value
	locals map[string]*hcl.Attribute
	values map[string]cty.Value // of the locals that have been evaluated
	under  []string             // the locals that are being evaluated, the outermost first
}

// parameters evaluates the file's variables, then its locals; from then on the
// file's expressions see them.
func (d *decoder) parameters(content *hcl.BodyContent, given map[string]Given) {
	p := &parameters{decoder: d, vars: map[string]cty.Value{}, locals: map[string]*hcl.Attribute{}, values: map[string]cty.Value{}}
	d.params = map[string]cty.Value{"var": cty.EmptyObjectVal, "local": cty.EmptyObjectVal}
	for _, b := range content.Blocks.OfType("variable") {
		p.variableBlock(b, given)
		d.declared[d.source.Name] = append(d.declared[d.source.Name], b.Labels[0])
	}
	d.params["var"] = cty.ObjectVal(p.vars)
	for _, b := range content.Blocks.OfType("locals") {
		p.localsBlock(b)
	}
	d.params["local"] = declaredAlone(p.locals)
	for _, name := range slices.Sorted(maps.Keys(p.locals)) {
		p.evaluateLocal(name)
	}
	d.params["local"] = cty.ObjectVal(p.values)
}

// declaredAlone has the names of locals whose values are not known yet, so that a
// name that is none is told at load.
func declaredAlone(locals map[string]*hcl.Attribute) cty.Value {
	out := map[string]cty.Value{}
	for name := range locals {
		out[name] = cty.DynamicVal
	}
	return cty.ObjectVal(out)
}

var variableSchema = schemaOf([]string{"type", "default", "description"}, "validation")

func (p *parameters) variableBlock(b *hcl.Block, given map[string]Given) {
	name := b.Labels[0]
	content := p.content(b.Body, variableSchema)
	if !hclsyntax.ValidIdentifier(name) {
		p.fail(b.LabelRanges[0], "Not a name", "A variable is referred to as var.NAME: letters, digits, _ and -, not %q.", name)
		return
	}
	if _, taken := p.vars[name]; taken {
		p.fail(b.LabelRanges[0], "Duplicate variable", "This file declares the variable %q already. Remove one of the two.", name)
		return
	}
	info := VariableInfo{Name: name, Description: p.text(content.Attributes["description"]), Type: "any", Range: b.DefRange}
	if a := content.Attributes["type"]; a != nil {
		info.Type = string(a.Expr.Range().SliceBytes(p.source.Bytes))
	}
	value, ok := p.valueOf(name, b, content.Attributes, given)
	if p.vars[name] = value; !ok {
		p.vars[name] = cty.DynamicVal // reported; what refers to it is not at fault
		return
	}
	info.Value = value
	p.variables = append(p.variables, info)
	for _, v := range content.Blocks {
		p.validation(name, value, v)
	}
}

// valueOf is what is given, else the default.
func (p *parameters) valueOf(name string, b *hcl.Block, attrs hcl.Attributes, given map[string]Given) (cty.Value, bool) {
	want := cty.DynamicPseudoType
	if a := attrs["type"]; a != nil {
		t, diags := typeexpr.TypeConstraint(a.Expr)
		p.diags = append(p.diags, diags...)
		if diags.HasErrors() {
			return cty.NilVal, false
		}
		want = t
	}
	value, at, ok := p.defaultOf(attrs["default"], want)
	if !ok {
		return cty.NilVal, false
	}
	for _, values := range []map[string]Given{given, p.source.Vars} {
		if g, is := values[name]; is {
			value, at = g.Value, g.Range
		}
	}
	if value == cty.NilVal {
		p.fail(b.DefRange, "Unset variable", "Give %q a value in reconcile.hcl, `policy_vars = { %s = ... }`, or a default here.", name, name)
		return cty.NilVal, false
	}
	out, err := convert.Convert(value, want)
	if err != nil {
		p.fail(at, "Wrong type", "The variable %q is %s: %s.", name, typeexpr.TypeString(want), err)
		return cty.NilVal, false
	}
	return out, true
}

func (p *parameters) defaultOf(a *hcl.Attribute, want cty.Type) (value cty.Value, at hcl.Range, ok bool) {
	if a == nil {
		return cty.NilVal, hcl.Range{}, true
	}
	if _, ok := p.expression(a.Expr); !ok {
		return cty.NilVal, hcl.Range{}, false
	}
	value, diags := a.Expr.Value(&hcl.EvalContext{Functions: functions})
	p.diags = append(p.diags, diags...)
	if diags.HasErrors() {
		return cty.NilVal, hcl.Range{}, false
	}
	if _, err := convert.Convert(value, want); err != nil {
		p.fail(a.Expr.Range(), "Wrong type", "The default is not %s: %s.", typeexpr.TypeString(want), err)
		return cty.NilVal, hcl.Range{}, false
	}
	return value, a.Expr.Range(), true
}

var validationSchema = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{
	{Name: "condition", Required: true}, {Name: "error_message", Required: true},
}}

func (p *parameters) validation(name string, value cty.Value, b *hcl.Block) {
	attrs := p.content(b.Body, validationSchema).Attributes
	condition, message := attrs["condition"], p.text(attrs["error_message"])
	if condition == nil || attrs["error_message"] == nil {
		return
	}
	for _, t := range condition.Expr.Variables() {
		if other, ok := second(t); ok && t.RootName() == "var" && other != name {
			p.fail(t.SourceRange(), "Another variable", "A condition sees its own variable alone, var.%s.", name)
			return
		}
	}
	before := p.params["var"]
	p.params["var"] = cty.ObjectVal(map[string]cty.Value{name: value})
	defer func() { p.params["var"] = before }()
	if v, ok := p.constant(condition, cty.Bool, "true or false"); ok && v.False() {
		p.fail(condition.Expr.Range(), "Invalid value for a variable", "%q: %s", name, message)
	}
}

func (p *parameters) localsBlock(b *hcl.Block) {
	attrs, diags := b.Body.JustAttributes()
	p.diags = append(p.diags, diags...)
	for name, a := range attrs {
		if first, taken := p.locals[name]; taken {
			p.fail(a.NameRange, "Duplicate local", "The local %q is on line %d already.", name, first.Range.Start.Line)
			continue
		}
		p.locals[name] = a
	}
}

// evaluateLocal evaluates those first that the local refers to.
func (p *parameters) evaluateLocal(name string) {
	if _, done := p.values[name]; done {
		return
	}
	a := p.locals[name]
	if i := slices.Index(p.under, name); i >= 0 {
		p.fail(a.NameRange, "Circular locals", "The local %q needs itself: %s.", name, strings.Join(append(slices.Clone(p.under[i:]), name), " -> "))
		p.values[name] = cty.DynamicVal
		return
	}
	p.under = append(p.under, name)
	for _, t := range a.Expr.Variables() {
		if used, ok := second(t); ok && t.RootName() == "local" && p.locals[used] != nil {
			p.evaluateLocal(used)
		}
	}
	p.under = p.under[:len(p.under)-1]
	if _, circular := p.values[name]; !circular {
		p.values[name] = p.localValue(a)
	}
}

func (p *parameters) localValue(a *hcl.Attribute) cty.Value {
	if _, ok := p.expression(a.Expr); !ok {
		return cty.DynamicVal
	}
	value, diags := a.Expr.Value(&hcl.EvalContext{Functions: functions, Variables: map[string]cty.Value{
		"var": p.params["var"], "local": cty.ObjectVal(p.values),
	}})
	p.diags = append(p.diags, diags...)
	if diags.HasErrors() {
		return cty.DynamicVal
	}
	return value
}

// second is NAME of var.NAME and local.NAME.
func second(t hcl.Traversal) (string, bool) {
	if len(t) < 2 {
		return "", false
	}
	switch step := t[1].(type) {
	case hcl.TraverseAttr:
		return step.Name, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String && step.Key.IsKnown() && !step.Key.IsNull() {
			return step.Key.AsString(), true
		}
	}
	return "", false
}

// parameter reports a variable or local that the file does not declare.
func (d *decoder) parameter(t hcl.Traversal) {
	root, what := t.RootName(), "local"
	if root == "var" {
		what = "variable"
	}
	name, ok := second(t)
	known := d.params[root]
	if !ok || known.Type().HasAttribute(name) {
		return
	}
	names := slices.Sorted(maps.Keys(known.Type().AttributeTypes()))
	d.fail(t.SourceRange(), "Undefined "+what, "This file has no %s %q.%s", what, name, didYouMean(name, names))
}

// unusedValues reports what is given to no variable.
func (d *decoder) unusedValues(files []Source, given map[string]Given) {
	var all []string
	for _, f := range files {
		d.unused(f.Vars, d.declared[f.Name], "The policy has no variable %q.%s")
		all = append(all, d.declared[f.Name]...)
	}
	d.unused(given, all, "No policy file declares a variable %q.%s")
}

func (d *decoder) unused(given map[string]Given, declared []string, detail string) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(declared, name) {
			d.fail(given[name].Name, "Unknown variable", detail, name, didYouMean(name, declared))
		}
	}
}

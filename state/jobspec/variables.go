package jobspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Variable is an input variable of a job file with the value it got.
type Variable struct {
	Name   string
	Value  cty.Value
	Origin string    // "default", "var", "var_file FILE:LINE", "NOMAD_VAR_NAME" or "live submission"
	Range  hcl.Range // of its declaration
}

const (
	envPrefix  = "NOMAD_VAR_"
	liveOrigin = LiveOrigin
)

// The Origins of a value that the live job's submission gives, and of one that
// nobody gives.
const (
	LiveOrigin    = "live submission"
	DefaultOrigin = "default"
)

// declared is a variable as the job file declares it, then with its value.
type declared struct {
	Variable
	set         bool
	broken      bool     // its declaration is reported already
	typ         cty.Type // NilType: not said
	defaultExpr hclsyntax.Expression
	valueRange  hcl.Range
	validations []validation
}

type validation struct {
	condition hclsyntax.Expression
	message   string
	at        hcl.Range
}

// variables are all that var.NAME may name.
type variables struct{ declared map[string]*declared }

func (v *variables) list() []Variable {
	out := make([]Variable, 0, len(v.declared))
	for _, name := range slices.Sorted(maps.Keys(v.declared)) {
		out = append(out, v.declared[name].Variable)
	}
	return out
}

func (v *variables) names() []string { return slices.Collect(maps.Keys(v.declared)) }

// object is the value of var itself. A variable that has no value has been
// reported before.
func (v *variables) object() cty.Value {
	values := make(map[string]cty.Value, len(v.declared))
	for name, dec := range v.declared {
		values[name] = cty.DynamicVal
		if dec.set {
			values[name] = dec.Value
		}
	}
	return cty.ObjectVal(values)
}

// variableBlocks declares what `variable` and `variables` blocks say.
func (d *decoder) variableBlocks(body *hclsyntax.Body) {
	for _, block := range body.Blocks {
		switch block.Type {
		case "variable":
			if d.labels(block, 1) {
				d.variableBlock(block)
			}
		case "variables":
			if d.labels(block, 0) {
				d.justAttributes(block.Body, func(attr *hclsyntax.Attribute) {
					dec := &declared{Variable: Variable{Name: attr.Name, Range: attr.NameRange}}
					d.declare(dec)
					d.setDefault(dec, attr.Expr)
				})
			}
		}
	}
}

func (d *decoder) declare(dec *declared) {
	if earlier, found := d.vars.declared[dec.Name]; found {
		d.errorf(dec.Range, "Duplicate variable", "The variable %q is declared at %s already. Remove one of the two.", dec.Name, earlier.Range)
		return
	}
	d.vars.declared[dec.Name] = dec
}

func (d *decoder) variableBlock(block *hclsyntax.Block) {
	dec := &declared{Variable: Variable{Name: block.Labels[0], Range: block.DefRange()}}
	before := len(d.diags)
	defer func() { dec.broken = len(d.diags) > before }()
	d.declare(dec)
	if !hclsyntax.ValidIdentifier(dec.Name) {
		d.errorf(block.LabelRanges[0], "Invalid variable name",
			"A name starts with a letter or an underscore and holds letters, digits, underscores and dashes alone.")
	}
	if attr, ok := block.Body.Attributes["type"]; ok {
		var diags hcl.Diagnostics
		if dec.typ, diags = typeexpr.Type(attr.Expr); diags.HasErrors() {
			d.add(diags)
			return
		}
	}
	d.variableBody(dec, block)
}

func (d *decoder) variableBody(dec *declared, block *hclsyntax.Block) {
	for _, attr := range block.Body.Attributes {
		switch attr.Name {
		case "type":
		case "default":
			d.setDefault(dec, attr.Expr)
		case "description":
			d.plainString(attr.Expr)
		default:
			d.unknown("argument", attr.Name, attr.NameRange, []string{"type", "default", "description"})
		}
	}
	for _, b := range block.Body.Blocks {
		if b.Type != "validation" {
			d.unknown("block", b.Type, b.TypeRange, []string{"validation"})
		} else if d.labels(b, 0) {
			d.validationBlock(dec, b)
		}
	}
}

func (d *decoder) setDefault(dec *declared, expr hclsyntax.Expression) {
	dec.defaultExpr = expr
	value, diags := staticValue(expr)
	d.add(diags)
	if diags.HasErrors() {
		return
	}
	d.give(dec, value, DefaultOrigin, expr.Range())
	if dec.typ == cty.NilType {
		dec.typ = value.Type()
	}
}

// staticValue evaluates where neither variables nor functions are to be had.
func staticValue(expr hclsyntax.Expression) (cty.Value, hcl.Diagnostics) {
	if !isLiteral(expr) {
		hclsyntax.Walk(expr, bothSides{})
	}
	return expr.Value(nil)
}

// bothSides makes && and || evaluate both of their sides.
type bothSides struct{}

func (bothSides) Enter(node hclsyntax.Node) hcl.Diagnostics {
	if n, ok := node.(*hclsyntax.BinaryOpExpr); ok && n.Op.ShortCircuit != nil {
		n.Op = &hclsyntax.Operation{Impl: n.Op.Impl, Type: n.Op.Type}
	}
	return nil
}

func (bothSides) Exit(hclsyntax.Node) hcl.Diagnostics { return nil }

func (d *decoder) plainString(expr hclsyntax.Expression) string {
	value, diags := staticValue(expr)
	d.add(diags)
	if diags.HasErrors() {
		return ""
	}
	value, err := convert.Convert(value, cty.String)
	if err != nil || value.IsNull() || !value.IsKnown() {
		d.errorf(expr.Range(), "Unsuitable value type", "A string is required here.")
		return ""
	}
	return value.AsString()
}

func (d *decoder) validationBlock(dec *declared, block *hclsyntax.Block) {
	v := validation{at: block.DefRange()}
	for _, attr := range block.Body.Attributes {
		switch attr.Name {
		case "condition":
			v.condition = attr.Expr
			d.conditionRefers(dec.Name, attr.Expr)
		case "error_message":
			if v.message = d.plainString(attr.Expr); strings.TrimSpace(v.message) == "" {
				d.errorf(attr.Expr.Range(), "Invalid validation error message", "Say here what a value must be like.")
			}
		default:
			d.unknown("argument", attr.Name, attr.NameRange, []string{"condition", "error_message"})
		}
	}
	for _, b := range block.Body.Blocks {
		d.unknown("block", b.Type, b.TypeRange, nil)
	}
	for _, name := range []string{"condition", "error_message"} {
		if block.Body.Attributes[name] == nil {
			d.errorf(block.DefRange(), "Missing required argument", "A validation needs %q.", name)
		}
	}
	dec.validations = append(dec.validations, v)
}

// conditionRefers: a validation looks at its own variable and nothing else.
func (d *decoder) conditionRefers(name string, expr hclsyntax.Expression) {
	own := false
	for _, t := range expr.Variables() {
		if step, ok := traverseAttr(t, 1); ok && t.RootName() == "var" && step == name {
			own = true
			continue
		}
		d.errorf(t.SourceRange(), "Invalid reference in variable validation", "The condition may refer to var.%s alone.", name)
	}
	if !own {
		d.errorf(expr.Range(), "Invalid variable validation condition", "The condition must test var.%s.", name)
	}
}

func traverseAttr(t hcl.Traversal, i int) (string, bool) {
	if i >= len(t) {
		return "", false
	}
	switch step := t[i].(type) {
	case hcl.TraverseAttr:
		return step.Name, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String {
			return step.Key.AsString(), true
		}
	}
	return "", false
}

// give sets a variable's value; what is given later wins.
func (d *decoder) give(dec *declared, value cty.Value, origin string, at hcl.Range) {
	dec.Value, dec.Origin, dec.valueRange, dec.set = value, origin, at, true
	if dec.typ == cty.NilType {
		return
	}
	converted, err := convert.Convert(value, dec.typ)
	if err != nil {
		d.errorf(at, "Invalid value for variable", "The value of %q (%s) does not fit its type, %s: %s.",
			dec.Name, origin, typeexpr.TypeString(dec.typ), err)
		return
	}
	dec.Value = converted
}

// collect gives variables their values in the order of precedence, the weakest
// first.
func (d *decoder) collect(in Inputs) {
	d.liveValues(in)
	env := envVars(in.Env)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if d.vars.declared[name] != nil {
			d.giveText(name, env[name], envPrefix+name)
		}
	}
	for _, f := range in.VarFiles {
		d.varFile(f, fileOrigin, !in.Lenient)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Vars)) {
		if d.vars.declared[name] != nil {
			d.giveText(name, in.Vars[name], "var")
		} else if !in.Lenient {
			d.undeclared(name, hcl.Range{Filename: "-var " + name})
		}
	}
}

func (d *decoder) undeclared(name string, at hcl.Range) {
	d.errorf(at, "Undefined variable", "The job file %s declares no variable %q.%s", d.name, name, didYouMean(name, d.vars.names()))
}

// fileOrigin is the origin of a value that stands at that place of a variable
// file.
func fileOrigin(at hcl.Range) string {
	return fmt.Sprintf("var_file %s:%d", at.Filename, at.Start.Line)
}

// liveValues takes what the live submission gives. A value that the file no
// longer asks for is no mistake there.
func (d *decoder) liveValues(in Inputs) {
	if in.Live == nil {
		return
	}
	if in.Live.Variables != "" {
		text := VarFile{Name: liveOrigin, Bytes: []byte(in.Live.Variables)}
		d.varFile(text, func(hcl.Range) string { return liveOrigin }, false)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Live.VariableFlags)) {
		if d.vars.declared[name] != nil {
			d.giveText(name, in.Live.VariableFlags[name], liveOrigin)
		}
	}
}

// giveText sets a value that came as text: a string or number as it is, anything
// else as an expression.
func (d *decoder) giveText(name, text, origin string) {
	dec := d.vars.declared[name]
	at := hcl.Range{Filename: origin, Start: hcl.InitialPos, End: hcl.InitialPos}
	switch dec.typ {
	case cty.String, cty.Number, cty.NilType:
		d.give(dec, cty.StringVal(text), origin, at)
		return
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), "<value of "+name+" from "+origin+">", hcl.InitialPos)
	d.add(diags)
	if diags.HasErrors() {
		return
	}
	value, diags := staticValue(expr)
	d.add(diags)
	if !diags.HasErrors() {
		d.give(dec, value, origin, expr.Range())
	}
}

// varFile gives what a variable file says. A strict one may not name unknown
// variables.
func (d *decoder) varFile(f VarFile, origin func(hcl.Range) string, strict bool) {
	attrs, diags := varFileAttributes(f)
	d.add(diags)
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		attr := attrs[name]
		dec := d.vars.declared[name]
		if dec == nil {
			if strict {
				d.undeclared(name, attr.NameRange)
			}
			continue
		}
		value, diags := fileValue(attr)
		d.add(diags)
		if !diags.HasErrors() {
			d.give(dec, value, origin(attr.NameRange), attr.Expr.Range())
		}
	}
}

func fileValue(attr *hcl.Attribute) (cty.Value, hcl.Diagnostics) {
	if expr, ok := attr.Expr.(hclsyntax.Expression); ok {
		return staticValue(expr)
	}
	return attr.Expr.Value(nil)
}

// Check reports what no job file could take from a variable file: mistakes of
// syntax, and values that are not constant.
func (f VarFile) Check() hcl.Diagnostics {
	attrs, diags := varFileAttributes(f)
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		_, more := fileValue(attrs[name])
		diags = append(diags, more...)
	}
	return diags
}

// varFilesText is what variable files say, as one text in HCL: their bytes, as
// long as no name stands there twice or is for other job files; else a line for
// each value that counts. What is said elsewhere is left out.
func varFilesText(files []VarFile, vars map[string]*declared, elsewhere []string) string {
	lines := map[string]string{}
	whole, text := true, ""
	for _, f := range files {
		text = joinHCL(text, string(f.Bytes)+"\n")
		whole = whole && !isJSON(f.Bytes)
		attrs, _ := varFileAttributes(f)
		for name, attr := range attrs {
			if vars[name] == nil || slices.Contains(elsewhere, name) {
				whole = false
				continue
			}
			whole = whole && lines[name] == ""
			lines[name] = f.line(name, attr)
		}
	}
	if whole {
		return text
	}
	text = ""
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		text += lines[name]
	}
	return text
}

// line is one value of the file in HCL.
func (f VarFile) line(name string, attr *hcl.Attribute) string {
	if !isJSON(f.Bytes) {
		return string(attr.Range.SliceBytes(f.Bytes)) + "\n"
	}
	value, _ := attr.Expr.Value(nil)
	text, _ := literal(value, quoteEscaped)
	return name + " = " + text + "\n"
}

func varFileAttributes(f VarFile) (hcl.Attributes, hcl.Diagnostics) {
	if isJSON(f.Bytes) {
		file, diags := hcljson.Parse(f.Bytes, f.Name)
		if diags.HasErrors() {
			return nil, diags
		}
		return file.Body.JustAttributes()
	}
	file, diags := hclsyntax.ParseConfig(f.Bytes, f.Name, hcl.InitialPos)
	if diags.HasErrors() {
		return nil, diags
	}
	for _, b := range file.Body.(*hclsyntax.Body).Blocks {
		return nil, errorAt(b.TypeRange, "Block in a variable file",
			fmt.Sprintf("A variable file holds lines NAME = VALUE alone. Declare variables in the job file; %q does not belong here.", b.Type))
	}
	return file.Body.JustAttributes()
}

// checkVariables: each has a value, and each value passes its validations.
func (d *decoder) checkVariables() {
	for _, name := range slices.Sorted(maps.Keys(d.vars.declared)) {
		dec := d.vars.declared[name]
		if dec.broken {
			continue
		}
		if !dec.set {
			d.errorf(dec.Range, "Unset variable \""+name+"\"",
				"Give it a value: `-var %s=VALUE`, a line `%s = VALUE` in a variable file, the environment variable %s%s, or a default here.",
				name, name, envPrefix, name)
			continue
		}
		for _, v := range dec.validations {
			d.validate(dec, v)
		}
	}
}

func (d *decoder) validate(dec *declared, v validation) {
	if v.condition == nil {
		return // reported as missing
	}
	hclsyntax.Walk(v.condition, bothSides{})
	ctx := &hcl.EvalContext{
		Functions: functionsFor(Inputs{}),
		Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{dec.Name: dec.Value})},
	}
	result, diags := v.condition.Value(ctx)
	d.add(diags)
	if diags.HasErrors() {
		return
	}
	result, err := convert.Convert(result, cty.Bool)
	if err != nil || result.IsNull() {
		d.errorf(v.condition.Range(), "Invalid variable validation result", "The condition must be either true or false.")
		return
	}
	if result.IsKnown() && result.False() {
		d.errorf(dec.valueRange, "Invalid value for variable \""+dec.Name+"\"",
			"%s\n\nThe value (%s) is checked by the validation at %s.", v.message, dec.Origin, v.at)
	}
}

package jobspec

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// locals are the values of `locals` blocks, evaluated each after those it uses.
type locals struct {
	exprs  map[string]*hclsyntax.Attribute
	values map[string]cty.Value
	under  []string // those being evaluated now, the outermost first
}

func (d *decoder) localBlocks(body *hclsyntax.Body) {
	for _, block := range body.Blocks {
		if block.Type != "locals" || !d.labels(block, 0) {
			continue
		}
		d.justAttributes(block.Body, func(attr *hclsyntax.Attribute) {
			if earlier, found := d.locals.exprs[attr.Name]; found {
				d.errorf(attr.NameRange, "Duplicate local", "The local %q is defined at %s already.", attr.Name, earlier.NameRange)
				return
			}
			d.locals.exprs[attr.Name] = attr
		})
	}
}

func (d *decoder) evaluateLocals() {
	for _, name := range slices.Sorted(maps.Keys(d.locals.exprs)) {
		d.evaluateLocal(name)
	}
	d.base.ctx.Variables["local"] = cty.ObjectVal(d.locals.values)
}

func (d *decoder) evaluateLocal(name string) {
	if _, done := d.locals.values[name]; done {
		return
	}
	attr := d.locals.exprs[name]
	if i := slices.Index(d.locals.under, name); i >= 0 {
		d.errorf(attr.NameRange, "Circular locals", "The local %q needs itself: %s.", name,
			strings.Join(append(d.locals.under[i:len(d.locals.under):len(d.locals.under)], name), " -> "))
		d.locals.values[name] = cty.DynamicVal
		return
	}
	refers := false
	if at := attr.Expr.Range(); bytes.Contains(d.src[at.Start.Byte:at.End.Byte], []byte("local")) {
		refers = d.evaluateUsed(name, attr)
	}
	if _, circular := d.locals.values[name]; circular {
		return
	}
	if refers {
		d.base.ctx.Variables["local"] = cty.ObjectVal(d.locals.values)
	}
	value, diags := d.value(attr.Expr, d.base)
	if d.add(diags); diags.HasErrors() {
		value = cty.DynamicVal
	}
	d.locals.values[name] = value
}

// evaluateUsed evaluates the locals that a local refers to, and reports whether
// there are any.
func (d *decoder) evaluateUsed(name string, attr *hclsyntax.Attribute) bool {
	refers := false
	d.locals.under = append(d.locals.under, name)
	for _, t := range attr.Expr.Variables() {
		if t.RootName() != "local" {
			continue
		}
		refers = true
		if used, ok := traverseAttr(t, 1); ok && d.locals.exprs[used] != nil {
			d.evaluateLocal(used)
		}
	}
	d.locals.under = d.locals.under[:len(d.locals.under)-1]
	return refers
}

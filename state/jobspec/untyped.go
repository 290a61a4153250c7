package jobspec

import (
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"nomad-reconcile/state/job"
)

// untypedBody decodes a body without a schema, such as a task's config: nested
// blocks become lists of maps, and so does a map that is written out directly
// [M]. A dynamic block is none here; Nomad takes it for a block of that name.
func (d *decoder) untypedBody(b block, p job.Path) map[string]any {
	out := map[string]any{}
	for name, attr := range b.body.Attributes {
		d.traceAttr(p, name, attr, b)
		if v := d.untypedAttr(attr.Expr, b.scope); v != nil {
			out[name] = v // Nomad drops null here, and keeps it further in [M]
		}
	}
	for typ, blocks := range d.untypedBlocks(b, p) {
		out[typ] = blocks
	}
	return out
}

func (d *decoder) untypedAttr(expr hclsyntax.Expression, s *scope) any {
	if d.trace != nil {
		return nil
	}
	value, diags := d.value(expr, s)
	d.add(diags)
	if diags.HasErrors() {
		return nil
	}
	v, err := job.GoValue(value)
	if err != nil {
		d.errorf(expr.Range(), "Unsuitable value type", "Unsuitable value: %s.", err)
		return nil
	}
	if _, ok := expr.(*hclsyntax.ObjectConsExpr); ok {
		return []map[string]any{v.(map[string]any)}
	}
	return v
}

func (d *decoder) untypedBlocks(b block, p job.Path) map[string][]map[string]any {
	out := map[string][]map[string]any{}
	for _, raw := range b.body.Blocks {
		at := d.untypedPath(p, raw, len(out[raw.Type]))
		child := staticBlock(raw, b.scope)
		d.traceBlock(at, child)
		for _, l := range raw.Labels {
			at = d.descend(at, l)
		}
		inner := map[string]any{}
		for name, attr := range raw.Body.Attributes {
			d.traceAttr(at, name, attr, child)
			inner[name] = d.untypedAttr(attr.Expr, b.scope)
		}
		for typ, blocks := range d.untypedBlocks(child, at) {
			inner[typ] = blocks
		}
		for _, l := range slices.Backward(raw.Labels) {
			inner = map[string]any{l: []map[string]any{inner}}
		}
		out[raw.Type] = append(out[raw.Type], inner)
	}
	return out
}

package jobspec

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// block is a block as the walk sees it: one of the file, or one that a dynamic
// block makes.
type block struct {
	*hclsyntax.Block // the file's own; of a made one, the dynamic block
	typ              string
	labels           []label
	body             *hclsyntax.Body
	scope            *scope
}

type label struct {
	text string
	at   hcl.Range
}

func (b block) header() hcl.Range { return b.DefRange() }

// made reports whether a dynamic block makes it.
func (b block) made() bool { return b.body != b.Body }

// braces are the byte after the body's opening and that of its closing brace.
func (b block) braces() (open, closing int) {
	written := b.Block
	if b.made() {
		for _, content := range b.Body.Blocks {
			if content.Body == b.body {
				written = content
			}
		}
	}
	return written.OpenBraceRange.End.Byte, written.CloseBraceRange.Start.Byte
}

// eachBlock visits the blocks of a body in order, dynamic ones expanded. schema
// says how many labels a type has.
func (d *decoder) eachBlock(parent block, schema func(typ string) (int, bool), known []string, visit func(block)) {
	for _, raw := range parent.body.Blocks {
		if raw.Type == "dynamic" {
			if d.labels(raw, 1) {
				d.expand(raw, parent.scope, schema, known, visit)
			}
			continue
		}
		want, ok := schema(raw.Type)
		if !ok {
			d.unknown("block", raw.Type, raw.TypeRange, known)
			continue
		}
		if d.labels(raw, want) {
			visit(staticBlock(raw, parent.scope))
		}
	}
}

func staticBlock(raw *hclsyntax.Block, s *scope) block {
	b := block{Block: raw, typ: raw.Type, body: raw.Body, scope: s}
	for i, text := range raw.Labels {
		b.labels = append(b.labels, label{text, raw.LabelRanges[i]})
	}
	return b
}

// dynamic is the parts of a dynamic block.
type dynamic struct {
	forEach, iterator, labels *hclsyntax.Attribute
	content                   *hclsyntax.Block
}

// expand visits the blocks that a dynamic block makes.
func (d *decoder) expand(raw *hclsyntax.Block, s *scope, schema func(string) (int, bool), known []string, visit func(block)) {
	typ := raw.Labels[0]
	want, ok := schema(typ)
	if !ok {
		d.unknown("block", typ, raw.LabelRanges[0], known)
		return
	}
	parts, ok := d.dynamicParts(raw, want)
	if !ok {
		return
	}
	iterator, ok := d.iterator(parts, typ)
	if !ok {
		return
	}
	each, diags := d.value(parts.forEach.Expr, s)
	if d.add(diags); diags.HasErrors() {
		return
	}
	if each.IsNull() || !each.CanIterateElements() {
		d.errorf(parts.forEach.Expr.Range(), "Invalid dynamic for_each value", "for_each needs a list, a set or a map, not a %s.", each.Type().FriendlyName())
		return
	}
	for it := each.ElementIterator(); it.Next(); {
		key, value := it.Element()
		b := block{Block: raw, typ: typ, body: parts.content.Body, scope: s.child(iterator, key, value)}
		if b.labels, ok = d.dynamicLabels(parts.labels, want, b.scope); ok {
			visit(b)
		}
	}
}

// iterator is the name by which the content calls the element.
func (d *decoder) iterator(parts dynamic, typ string) (string, bool) {
	if parts.iterator == nil {
		return typ, true
	}
	t, diags := hcl.AbsTraversalForExpr(parts.iterator.Expr)
	if d.add(diags); diags.HasErrors() {
		return "", false
	}
	if len(t) != 1 {
		d.errorf(t.SourceRange(), "Invalid dynamic iterator name", "An iterator is one name.")
		return "", false
	}
	return t.RootName(), true
}

func (d *decoder) dynamicParts(raw *hclsyntax.Block, labels int) (dynamic, bool) {
	var parts dynamic
	before := len(d.diags)
	known := []string{"for_each", "iterator"}
	if labels > 0 {
		known = append(known, "labels")
	}
	for _, attr := range raw.Body.Attributes {
		switch {
		case attr.Name == "for_each":
			parts.forEach = attr
		case attr.Name == "iterator":
			parts.iterator = attr
		case attr.Name == "labels" && labels > 0:
			parts.labels = attr
		default:
			d.unknown("argument", attr.Name, attr.NameRange, known)
		}
	}
	for _, b := range raw.Body.Blocks {
		switch {
		case b.Type != "content":
			d.unknown("block", b.Type, b.TypeRange, []string{"content"})
		case parts.content != nil:
			d.errorf(b.DefRange(), "Extraneous dynamic content block", "A dynamic block has one content block.")
		case d.labels(b, 0):
			parts.content = b
		}
	}
	if parts.forEach == nil {
		d.errorf(raw.DefRange(), "Missing required argument", "A dynamic block needs for_each.")
	}
	if parts.content == nil && len(d.diags) == before {
		d.errorf(raw.DefRange(), "Missing dynamic content block", "A dynamic block needs a content block, the body of each block that it makes.")
	}
	return parts, len(d.diags) == before
}

func (d *decoder) dynamicLabels(attr *hclsyntax.Attribute, want int, s *scope) ([]label, bool) {
	var exprs []hcl.Expression
	if attr != nil {
		var diags hcl.Diagnostics
		exprs, diags = hcl.ExprList(attr.Expr)
		if d.add(diags); diags.HasErrors() {
			return nil, false
		}
	}
	if attr != nil && len(exprs) != want {
		d.errorf(attr.Expr.Range(), "Wrong number of dynamic block labels", "Blocks of this type have %d label(s).", want)
		return nil, false
	}
	var out []label
	for _, e := range exprs {
		value, diags := d.value(e.(hclsyntax.Expression), s)
		if d.add(diags); diags.HasErrors() {
			return nil, false
		}
		text, err := convert.Convert(value, cty.String)
		if err != nil || text.IsNull() || !text.IsKnown() {
			d.errorf(e.Range(), "Invalid dynamic block label", "A label must be a string.")
			return nil, false
		}
		out = append(out, label{text.AsString(), e.Range()})
	}
	return out, true
}

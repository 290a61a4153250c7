package jobspec

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"nomad-reconcile/state/job"
)

// trace remembers where in the file each path of the job comes from. Only Range
// and Edit ask for one; a plain parse builds no paths.
type trace struct {
	decoder *decoder
	head    job.Path // blocks beside it are not gone into
	places  map[string]place
}

// place is a block, or an attribute in it.
type place struct {
	block block
	attr  *hclsyntax.Attribute // nil: the block itself
}

func (t *trace) header(b *hclsyntax.Block, d *decoder) {
	if t == nil {
		return
	}
	t.decoder = d
	t.places[""] = place{block: block{Block: b, typ: b.Type, body: b.Body, scope: d.base}}
}

// goesInto: what stands in the job or a group for all tasks is on the way to each.
func (t *trace) goesInto(p job.Path) bool {
	if name := p.Last().Name; name == "vault" || name == "secret" {
		return true
	}
	for i := range min(len(p), len(t.head)) {
		at, head := p[i], t.head[i]
		if at.Name != head.Name || at.Key != head.Key && at.Key != "" && head.Key != "" {
			return false
		}
	}
	return true
}

func (d *decoder) traceAttr(p job.Path, name string, attr *hclsyntax.Attribute, b block) {
	if d.trace != nil {
		d.trace.places[p.Attr(name).String()] = place{block: b, attr: attr}
	}
}

func (d *decoder) traceBlock(p job.Path, b block) {
	if d.trace != nil {
		d.trace.places[p.String()] = place{block: b}
	}
}

// blockPath is the path of a block in p; i is its position among its kind where
// it has no label, -1 for a block that is the only one.
func (d *decoder) blockPath(p job.Path, b block, i int) job.Path {
	switch {
	case d.trace == nil:
		return nil
	case len(b.labels) > 0:
		return p.Block(b.typ, b.labels[0].text)
	case i >= 0:
		return p.Elem(b.typ, i)
	}
	return p.Attr(b.typ)
}

func (d *decoder) untypedPath(p job.Path, raw *hclsyntax.Block, i int) job.Path {
	if d.trace == nil {
		return nil
	}
	return p.Elem(raw.Type, i)
}

// descend is the path below a label of an untyped block, which is a key.
func (d *decoder) descend(p job.Path, label string) job.Path {
	if d.trace == nil {
		return nil
	}
	return p.Elem(label, 0)
}

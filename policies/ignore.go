package policies

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// AllLabels stands in an Ignore path for every group or task.
const AllLabels = "*"

// ignore reads the places whose live values stay: attributes and keys, for what is in
// a block may be Nomad's own to add.
func (d *decoder) ignore(a *hcl.Attribute) []job.Path {
	if a == nil {
		return nil
	}
	exprs, diags := hcl.ExprList(a.Expr)
	if diags.HasErrors() {
		d.fail(a.Expr.Range(), "Wrong type", `ignore is a list of places such as group["web"].count or meta.build.`)
		return nil
	}
	var out []job.Path
	for _, e := range exprs {
		t, diags := hcl.AbsTraversalForExpr(e)
		if diags.HasErrors() {
			d.fail(e.Range(), "Not a place", `A place is written like group["web"].count or group["*"].task["*"].config.image.`)
			continue
		}
		if p, ok := d.ignored(t); ok {
			out = append(out, p)
		}
	}
	return out
}

func (d *decoder) ignored(t hcl.Traversal) (job.Path, bool) {
	steps := append(hcl.Traversal{hcl.TraverseAttr{Name: t.RootName(), SrcRange: t[0].SourceRange()}}, t[1:]...)
	at, diag := follow(partTypes["job"], "job", steps)
	if diag != nil {
		d.diags = append(d.diags, diag)
		return nil, false
	}
	p, err := job.PathOf(t)
	if err != nil {
		d.fail(t.SourceRange(), "Not a place", "%s.", err)
		return nil, false
	}
	for _, s := range p {
		switch {
		case s.Index >= 0:
			d.fail(t.SourceRange(), "Not a place", "ignore names whole lists, not the elements of one.")
			return nil, false
		case s.Key == AllLabels && s.Name != "group" && s.Name != "task":
			d.fail(t.SourceRange(), "Not a place", `"*" stands for all groups or all tasks, not for a %s.`, s.Name)
			return nil, false
		}
	}
	if at = pointed(at); isBlock(at) {
		d.fail(t.SourceRange(), "Not a place", "%s is a block: name what in it is to be ignored.", p)
		return nil, false
	}
	return p, true
}

func isBlock(t reflect.Type) bool {
	if t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		t = pointed(t.Elem())
	}
	return t != nil && t.Kind() == reflect.Struct && t != reflect.TypeFor[cty.Value]()
}

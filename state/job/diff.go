package job

import (
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
)

// Difference is one place where two jobs differ. A side where the place is not
// there, or not set, is null.
type Difference struct {
	Path          Path
	Before, After cty.Value
}

// Diff lists where live and desired differ, in the order of paths, leaving out
// what lies at or below a path in ignore. Labelled blocks are matched by label,
// others by position; a list of plain values is one place.
func Diff(live, desired *api.Job, ignore []Path) []Difference {
	var out []Difference
	diffValues(nil, Value(live), Value(desired), &out)
	return slices.DeleteFunc(out, func(d Difference) bool {
		return slices.ContainsFunc(ignore, func(p Path) bool { return d.Path.HasPrefix(p) })
	})
}

func diffValues(p Path, a, b cty.Value, out *[]Difference) {
	if same(a, b) {
		return
	}
	switch {
	case isObject(a) && isObject(b):
		diffObjects(p, a, b, out)
	case isBlockList(a) && isBlockList(b):
		diffLists(p, a, b, out)
	default:
		*out = append(*out, Difference{Path: p, Before: orNull(a), After: orNull(b)})
	}
}

func diffObjects(p Path, a, b cty.Value, out *[]Difference) {
	for _, name := range keys(a, b) {
		av, bv := get(a, name), get(b, name)
		diffValues(stepInto(p, name, av, bv), av, bv, out)
	}
}

// stepInto prints group and "web" as one step group["web"], as paths do.
func stepInto(p Path, name string, _, _ cty.Value) Path {
	if len(p) > 0 {
		last := p[len(p)-1]
		if labelled[last.Name] && last.Key == "" && last.Index < 0 {
			out := slices.Clone(p)
			out[len(out)-1].Key = name
			return out
		}
	}
	return p.Attr(name)
}

func diffLists(p Path, a, b cty.Value, out *[]Difference) {
	for i := range max(a.LengthInt(), b.LengthInt()) {
		q := slices.Clone(p)
		q[len(q)-1].Index = i
		diffValues(q, elem(a, i), elem(b, i), out)
	}
}

func elem(v cty.Value, i int) cty.Value {
	if i >= v.LengthInt() {
		return cty.NullVal(cty.DynamicPseudoType)
	}
	return v.Index(cty.NumberIntVal(int64(i)))
}

func isObject(v cty.Value) bool {
	return v != cty.NilVal && !v.IsNull() && v.Type().IsObjectType()
}

func isBlockList(v cty.Value) bool {
	if v == cty.NilVal || v.IsNull() || !v.Type().IsTupleType() || v.LengthInt() == 0 {
		return false
	}
	for _, t := range v.Type().TupleElementTypes() {
		if !t.IsObjectType() {
			return false
		}
	}
	return true
}

func keys(a, b cty.Value) []string {
	var names []string
	for _, v := range []cty.Value{a, b} {
		for name := range v.Type().AttributeTypes() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, strings.Compare)
	return names
}

func get(v cty.Value, name string) cty.Value {
	if !v.Type().HasAttribute(name) {
		return cty.NilVal
	}
	return v.GetAttr(name)
}

func same(a, b cty.Value) bool {
	if blank(a) && blank(b) {
		return true
	}
	return a != cty.NilVal && b != cty.NilVal && a.RawEquals(b)
}

func blank(v cty.Value) bool {
	if v == cty.NilVal || v.IsNull() {
		return true
	}
	t := v.Type()
	return (t.IsTupleType() || t.IsObjectType()) && v.LengthInt() == 0
}

func orNull(v cty.Value) cty.Value {
	if v == cty.NilVal {
		return cty.NullVal(cty.DynamicPseudoType)
	}
	return v
}

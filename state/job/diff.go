package job

import (
	"reflect"
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
	diffValues(nil, reflect.TypeFor[api.Job](), Value(live), Value(desired), &out)
	return slices.DeleteFunc(out, func(d Difference) bool {
		return slices.ContainsFunc(ignore, func(p Path) bool { return d.Path.HasPrefix(p) })
	})
}

// diffValues compares two values of a nomad/api struct type, or of no such type
// (nil) where the names are the user's own.
func diffValues(p Path, t reflect.Type, a, b cty.Value, out *[]Difference) {
	if same(a, b) {
		return
	}
	switch {
	case isObject(a) && isObject(b):
		diffObjects(p, t, a, b, out)
	case isBlockList(a) && isBlockList(b):
		diffLists(p, t, a, b, out)
	default:
		*out = append(*out, Difference{Path: p, Before: orNull(a), After: orNull(b)})
	}
}

func diffObjects(p Path, t reflect.Type, a, b cty.Value, out *[]Difference) {
	for _, name := range keys(a, b) {
		av, bv := get(a, name), get(b, name)
		inner := structBehind(t, name)
		if inner == nil || !hasLabel(inner) || !isObject(orEmpty(av)) || !isObject(orEmpty(bv)) {
			diffValues(p.Attr(name), inner, av, bv, out)
			continue
		}
		av, bv = orEmpty(av), orEmpty(bv)
		for _, label := range keys(av, bv) {
			diffValues(p.Block(name, label), inner, get(av, label), get(bv, label), out)
		}
	}
}

// structBehind is the struct of the blocks of that name in t, or nil.
func structBehind(t reflect.Type, name string) reflect.Type {
	if t == nil {
		return nil
	}
	f, ok := FieldNamed(t, name)
	if !ok || f.Kind != BlockField {
		return nil
	}
	inner := f.Type
	for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
		inner = inner.Elem()
	}
	if inner.Kind() != reflect.Struct {
		return nil
	}
	return inner
}

func orEmpty(v cty.Value) cty.Value {
	if v == cty.NilVal || v.IsNull() {
		return cty.EmptyObjectVal
	}
	return v
}

func diffLists(p Path, t reflect.Type, a, b cty.Value, out *[]Difference) {
	for i := range max(a.LengthInt(), b.LengthInt()) {
		q := slices.Clone(p)
		q[len(q)-1].Index = i
		diffValues(q, t, elem(a, i), elem(b, i), out)
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

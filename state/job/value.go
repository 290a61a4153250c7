package job

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
)

// Value is the job as expressions see it: attributes and blocks by their names
// in job files, labelled blocks as objects keyed by label (each with its label
// as `name`), other repeated blocks as lists, durations as strings ("15s"), and
// null for a schema attribute that is not set.
func Value(j *api.Job) cty.Value {
	if j == nil {
		return cty.NullVal(cty.DynamicPseudoType)
	}
	return toCty(reflect.ValueOf(j))
}

// ValueOf is any part of a job (a *api.TaskGroup, a *api.Task) as Value shows
// it inside the whole.
func ValueOf(part any) cty.Value { return toCty(reflect.ValueOf(part)) }

// Names are some attributes and blocks of a part of a job, and in the same way what
// of these; nil stands for all.
type Names map[string]Names

// Project is a part of a job (a struct of nomad/api or a pointer to one) as ValueOf
// shows it, with these of its attributes and blocks alone.
func Project(part any, names Names) cty.Value { return project(reflect.ValueOf(part), names) }

func project(v reflect.Value, names Names) cty.Value {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if names == nil || v.Kind() != reflect.Struct || v.Type() == networkType {
		return toCty(v)
	}
	attrs := make(map[string]cty.Value, len(names))
	for _, f := range Fields(v.Type()) {
		if below, ok := names[f.Name]; ok {
			attrs[f.Name] = projectField(v.Field(f.Index), f, below)
		}
	}
	return cty.ObjectVal(attrs)
}

func projectField(v reflect.Value, f Field, names Names) cty.Value {
	switch {
	case f.Kind != BlockField || names == nil:
		return fieldToCty(v, f)
	case v.Kind() != reflect.Slice:
		return project(v, names)
	}
	each := func(v reflect.Value) cty.Value { return project(v, names) }
	if hasLabel(f.Type.Elem()) {
		return byLabel(v, each)
	}
	return listed(v, each)
}

var durationType = reflect.TypeFor[time.Duration]()

func toCty(v reflect.Value) cty.Value {
	if !v.IsValid() {
		return cty.NullVal(cty.DynamicPseudoType)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return cty.NullVal(nullType(v.Type()))
		}
		return toCty(v.Elem())
	case reflect.Struct:
		return structToCty(v)
	case reflect.Slice, reflect.Array:
		return sliceToCty(v)
	case reflect.Map:
		return mapToCty(v)
	}
	return scalarToCty(v)
}

func nullType(t reflect.Type) cty.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == durationType, t.Kind() == reflect.String:
		return cty.String
	case t.Kind() == reflect.Bool:
		return cty.Bool
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64:
		return cty.Number
	}
	return cty.DynamicPseudoType
}

func scalarToCty(v reflect.Value) cty.Value {
	switch {
	case v.Type() == durationType:
		return cty.StringVal(time.Duration(v.Int()).String())
	case v.Kind() == reflect.String:
		return cty.StringVal(v.String())
	case v.Kind() == reflect.Bool:
		return cty.BoolVal(v.Bool())
	case v.CanInt():
		return cty.NumberIntVal(v.Int())
	case v.CanUint():
		return cty.NumberUIntVal(v.Uint())
	case v.CanFloat():
		return cty.NumberFloatVal(v.Float())
	}
	panic(fmt.Sprintf("job: no value for a %s", v.Type()))
}

func structToCty(v reflect.Value) cty.Value {
	attrs := map[string]cty.Value{}
	for _, f := range Fields(v.Type()) {
		attrs[f.Name] = fieldToCty(v.Field(f.Index), f)
	}
	if n, ok := v.Interface().(api.NetworkResource); ok {
		showPorts(n, attrs)
	}
	return cty.ObjectVal(attrs)
}

// showPorts: job files write port for what nomad/api keeps in two lists.
func showPorts(n api.NetworkResource, attrs map[string]cty.Value) {
	ports := map[string]cty.Value{}
	for _, p := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
		ports[p.Label] = ValueOf(p)
	}
	attrs["port"] = cty.ObjectVal(ports)
	delete(attrs, "reserved_ports")
}

func fieldToCty(v reflect.Value, f Field) cty.Value {
	if f.Kind != BlockField || v.Kind() != reflect.Slice {
		return toCty(v)
	}
	if !hasLabel(f.Type.Elem()) {
		return sliceToCty(v)
	}
	return byLabel(v, toCty)
}

// byLabel is an object with the blocks of a list by their labels.
func byLabel(v reflect.Value, each func(reflect.Value) cty.Value) cty.Value {
	blocks := make(map[string]cty.Value, v.Len())
	for i := range v.Len() {
		label, _ := Label(v.Index(i))
		if _, taken := blocks[label]; !taken {
			blocks[label] = each(v.Index(i))
		}
	}
	return cty.ObjectVal(blocks)
}

func hasLabel(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return false
	}
	for _, f := range Fields(t) {
		if f.Kind == LabelField {
			return true
		}
	}
	return false
}

func sliceToCty(v reflect.Value) cty.Value { return listed(v, toCty) }

func listed(v reflect.Value, each func(reflect.Value) cty.Value) cty.Value {
	elems := make([]cty.Value, v.Len())
	for i := range elems {
		elems[i] = each(v.Index(i))
	}
	return cty.TupleVal(elems)
}

func mapToCty(v reflect.Value) cty.Value {
	attrs := make(map[string]cty.Value, v.Len())
	for _, k := range v.MapKeys() {
		attrs[k.String()] = toCty(v.MapIndex(k))
	}
	return cty.ObjectVal(attrs)
}

// GoValue is what Nomad stores for a value in an untyped place such as a task's
// config: strings, bools, int or float64, []any, map[string]any, and a list of
// nothing but maps as []map[string]any. Unknown values are an error.
func GoValue(v cty.Value) (any, error) {
	if v.IsMarked() {
		v, _ = v.UnmarkDeep()
	}
	if !v.IsKnown() {
		return nil, fmt.Errorf("the value is not known")
	}
	if v.IsNull() {
		return nil, nil
	}
	t := v.Type()
	switch {
	case t == cty.String:
		return v.AsString(), nil
	case t == cty.Bool:
		return v.True(), nil
	case t == cty.Number:
		return goNumber(v.AsBigFloat()), nil
	case t.IsMapType(), t.IsObjectType():
		return goMap(v)
	case t.IsListType(), t.IsSetType(), t.IsTupleType():
		return goList(v)
	}
	return nil, fmt.Errorf("a %s has no place in a job", t.FriendlyName())
}

func goNumber(f *big.Float) any {
	if i, acc := f.Int64(); acc == big.Exact {
		return int(i)
	}
	n, _ := f.Float64()
	return n
}

func goMap(v cty.Value) (map[string]any, error) {
	out := map[string]any{}
	for it := v.ElementIterator(); it.Next(); {
		k, ev := it.Element()
		e, err := GoValue(ev)
		if err != nil {
			return nil, err
		}
		out[k.AsString()] = e
	}
	return out, nil
}

func goList(v cty.Value) (any, error) {
	list := make([]any, 0, v.LengthInt())
	maps := make([]map[string]any, 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		_, ev := it.Element()
		e, err := GoValue(ev)
		if err != nil {
			return nil, err
		}
		if m, ok := e.(map[string]any); ok {
			maps = append(maps, m)
		}
		list = append(list, e)
	}
	if listOfMaps(v.Type(), len(maps), len(list)) {
		return maps, nil
	}
	return list, nil
}

// listOfMaps: a collection says so by its type even when it is empty, a tuple
// only by what it holds.
func listOfMaps(t cty.Type, maps, all int) bool {
	if t.IsCollectionType() {
		et := t.ElementType()
		return et.IsMapType() || et.IsObjectType()
	}
	return all > 0 && maps == all
}

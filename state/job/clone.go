package job

import (
	"maps"
	"reflect"
	"sync"

	"github.com/hashicorp/nomad/api"
)

// Clone is a deep copy.
func Clone(j *api.Job) *api.Job {
	return clone(reflect.ValueOf(j)).Interface().(*api.Job)
}

func clone(v reflect.Value) reflect.Value {
	if v.Type() == reflect.TypeFor[map[string]string]() { // most maps
		return reflect.ValueOf(maps.Clone(v.Interface().(map[string]string)))
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return v
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		cloneInto(p.Elem(), v.Elem())
		return p
	case reflect.Interface:
		out := reflect.New(v.Type()).Elem()
		out.Set(clone(v.Elem()))
		return out
	case reflect.Struct:
		out := reflect.New(v.Type()).Elem()
		cloneInto(out, v)
		return out
	case reflect.Slice:
		return cloneSlice(v)
	case reflect.Map:
		return cloneMap(v)
	}
	return v
}

// cloneInto copies a value to a place, and of a struct goes into what it shares.
func cloneInto(out, v reflect.Value) {
	if v.Kind() != reflect.Struct {
		out.Set(clone(v))
		return
	}
	out.Set(v)
	for _, i := range sharing(v.Type()) {
		if f := v.Field(i); !f.IsZero() {
			cloneInto(out.Field(i), f)
		}
	}
}

func cloneSlice(v reflect.Value) reflect.Value {
	out := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	if !shares(v.Type().Elem()) {
		reflect.Copy(out, v)
		return out
	}
	for i := range v.Len() {
		cloneInto(out.Index(i), v.Index(i))
	}
	return out
}

func cloneMap(v reflect.Value) reflect.Value {
	out := reflect.MakeMapWithSize(v.Type(), v.Len())
	deep := shares(v.Type().Elem())
	for it := v.MapRange(); it.Next(); {
		value := it.Value()
		if deep {
			value = clone(value)
		}
		out.SetMapIndex(it.Key(), value)
	}
	return out
}

// shares reports whether a copy of such a value shares memory with it.
func shares(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return true
	case reflect.Struct:
		return len(sharing(t)) > 0
	}
	return false
}

var sharingFields sync.Map // reflect.Type -> []int

// sharing is the exported fields of a struct whose copies share memory.
func sharing(t reflect.Type) []int {
	if known, ok := sharingFields.Load(t); ok {
		return known.([]int)
	}
	var fields []int
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && shares(f.Type) {
			fields = append(fields, i)
		}
	}
	sharingFields.Store(t, fields)
	return fields
}

// Equal reports whether two jobs say the same, fields that only the server sets
// included. Nil and empty lists and maps are the same; null and zero are not.
func Equal(a, b *api.Job) bool { return equal(reflect.ValueOf(a), reflect.ValueOf(b)) }

func equal(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	if a.Type() != b.Type() {
		return equalTypes(a, b)
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return equal(a.Elem(), b.Elem())
	case reflect.Struct:
		return equalStructs(a, b)
	case reflect.Slice:
		return equalSlices(a, b)
	case reflect.Map:
		return equalMaps(a, b)
	}
	return a.Interface() == b.Interface()
}

func equalStructs(a, b reflect.Value) bool {
	for i := range a.NumField() {
		if a.Type().Field(i).IsExported() && !equal(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

func equalSlices(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if !equal(behind(a.Index(i)), behind(b.Index(i))) {
			return false
		}
	}
	return true
}

func equalMaps(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for _, k := range a.MapKeys() {
		other := b.MapIndex(k)
		if !other.IsValid() || !equal(a.MapIndex(k), other) {
			return false
		}
	}
	return true
}

// behind is what an interface holds.
func behind(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Interface {
		return v.Elem()
	}
	return v
}

// equalTypes: a number read from JSON is a float64, one from HCL an int; and a
// list of maps may be typed so or not.
func equalTypes(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && b.Kind() == reflect.Slice {
		return equalSlices(a, b)
	}
	number := reflect.TypeFor[float64]()
	isNumber := func(v reflect.Value) bool { return v.CanInt() || v.CanUint() || v.CanFloat() }
	return isNumber(a) && isNumber(b) && a.Convert(number).Float() == b.Convert(number).Float()
}

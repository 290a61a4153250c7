package job

import (
	"reflect"

	"github.com/hashicorp/nomad/api"
)

// Clone is a deep copy.
func Clone(j *api.Job) *api.Job {
	return clone(reflect.ValueOf(j)).Interface().(*api.Job)
}

func clone(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return v
		}
	}
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(clone(v.Elem()))
		out.Set(p)
	case reflect.Interface:
		out.Set(clone(v.Elem()))
	case reflect.Struct:
		out.Set(v)
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(clone(v.Field(i)))
			}
		}
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(clone(v.Index(i)))
		}
	case reflect.Map:
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, clone(v.MapIndex(k)))
		}
	default:
		out.Set(v)
	}
	return out
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

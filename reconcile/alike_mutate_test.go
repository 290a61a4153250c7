package reconcile

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// site changes one thing of a job like the one that it was found in, and says where
// and how.
type site func(*api.Job) string

// sitesOf are all changes of one thing of a job that reflection knows of.
func sitesOf(j *api.Job) []site {
	var out []site
	walk(reflect.ValueOf(j).Elem(), nil, func(path []int, how string, change func(reflect.Value)) {
		path = slices.Clone(path)
		out = append(out, func(j *api.Job) string {
			v, at := reflect.ValueOf(j).Elem(), ""
			for _, i := range path {
				v, at = into(v, i, at)
			}
			change(v)
			return at + " " + how
		})
	})
	return out
}

// into goes to a field, to an element, or behind a pointer.
func into(v reflect.Value, i int, at string) (reflect.Value, string) {
	switch v.Kind() {
	case reflect.Pointer:
		return v.Elem(), at
	case reflect.Struct:
		return v.Field(i), at + "." + v.Type().Field(i).Name
	case reflect.Slice:
		return v.Index(i), fmt.Sprintf("%s[%d]", at, i)
	}
	panic("no way into a " + v.Kind().String())
}

type changing func(path []int, how string, change func(reflect.Value))

func walk(v reflect.Value, path []int, add changing) {
	if v.Type() != reflect.TypeFor[api.Job]() {
		changesOf(v, path, add)
	}
	deeper := func(i int, in reflect.Value) { walk(in, append(slices.Clone(path), i), add) }
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			deeper(0, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && !(v.Type() == reflect.TypeFor[api.Job]() && (f.Name == "ID" || f.Name == "Namespace")) {
				deeper(i, v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			deeper(i, v.Index(i))
		}
	}
}

func changesOf(v reflect.Value, path []int, add changing) {
	set := func(how string, value any) {
		add(path, how, func(v reflect.Value) { v.Set(reflect.ValueOf(value).Convert(v.Type())) })
	}
	switch v.Kind() {
	case reflect.String:
		for _, s := range []string{"", v.String() + "x", "other", " " + v.String()} {
			set(fmt.Sprintf("= %q", s), s)
		}
	case reflect.Bool:
		set("negated", !v.Bool())
	case reflect.Int, reflect.Int64, reflect.Int8, reflect.Uint16, reflect.Uint64, reflect.Uint8:
		for _, n := range []int{0, 1, 7, -1} {
			set(fmt.Sprintf("= %d", n), n)
		}
	case reflect.Pointer:
		changesOfPointer(v, path, add)
	case reflect.Slice:
		changesOfList(v, path, add)
	case reflect.Map:
		changesOfMap(v, path, add)
	}
}

func changesOfPointer(v reflect.Value, path []int, add changing) {
	if v.IsNil() {
		add(path, "given zero", func(v reflect.Value) { v.Set(reflect.New(v.Type().Elem())) })
		for i := range fieldsOf(v.Type().Elem()) {
			add(path, fmt.Sprintf("given with field %d", i), func(v reflect.Value) {
				v.Set(reflect.New(v.Type().Elem()))
				fill(v.Elem().Field(i))
			})
		}
		return
	}
	add(path, "taken away", func(v reflect.Value) { v.SetZero() })
}

func fieldsOf(t reflect.Type) int {
	if t.Kind() == reflect.Struct {
		return t.NumField()
	}
	return 0
}

// fill gives a value that is not empty.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("filled")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int8:
		v.SetInt(3)
	case reflect.Uint16, reflect.Uint64, reflect.Uint8:
		v.SetUint(3)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		elem := reflect.New(v.Type().Elem()).Elem()
		fill(elem)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("filled"), elem)
	case reflect.Interface:
		v.Set(reflect.ValueOf("filled"))
	}
}

func changesOfList(v reflect.Value, path []int, add changing) {
	add(path, "nil", func(v reflect.Value) { v.SetZero() })
	add(path, "empty", func(v reflect.Value) { v.Set(reflect.MakeSlice(v.Type(), 0, 0)) })
	add(path, "with one more", func(v reflect.Value) {
		elem := reflect.New(v.Type().Elem()).Elem()
		fill(elem)
		v.Set(reflect.Append(v, elem))
	})
	for i := range v.Len() {
		add(path, fmt.Sprintf("without %d", i), func(v reflect.Value) {
			v.Set(reflect.AppendSlice(v.Slice(0, i), v.Slice(i+1, v.Len())))
		})
		add(path, fmt.Sprintf("with %d twice", i), func(v reflect.Value) { v.Set(reflect.Append(v, v.Index(i))) })
		if i > 0 {
			add(path, fmt.Sprintf("with %d first", i), func(v reflect.Value) { reflect.Swapper(v.Interface())(0, i) })
		}
	}
}

func changesOfMap(v reflect.Value, path []int, add changing) {
	add(path, "nil", func(v reflect.Value) { v.SetZero() })
	add(path, "empty", func(v reflect.Value) { v.Set(reflect.MakeMap(v.Type())) })
	add(path, "with one more", func(v reflect.Value) {
		elem := reflect.New(v.Type().Elem()).Elem()
		fill(elem)
		if v.IsNil() {
			v.Set(reflect.MakeMap(v.Type()))
		}
		v.SetMapIndex(reflect.ValueOf("more"), elem)
	})
	for _, k := range v.MapKeys() {
		add(path, fmt.Sprintf("without %q", k), func(v reflect.Value) { v.SetMapIndex(k, reflect.Value{}) })
		for _, value := range valuesLike(v.MapIndex(k)) {
			add(path, fmt.Sprintf("%q = %#v", k, value), func(v reflect.Value) {
				v.SetMapIndex(k, reflect.ValueOf(&value).Elem().Elem())
			})
		}
	}
}

// valuesLike: what a value of a map may be instead.
func valuesLike(v reflect.Value) []any {
	switch {
	case v.Kind() == reflect.String:
		return []any{"", v.String() + "x"}
	case v.Kind() != reflect.Interface || v.IsNil():
		return nil
	}
	out := []any{"", "x", 0, 1, 1.5, true, []any{}, []any(nil), []string{}, map[string]any{}, []map[string]any{{}}}
	switch e := v.Elem(); e.Kind() {
	case reflect.Slice:
		for i := range e.Len() {
			out = append(out, reflect.AppendSlice(e.Slice3(0, i, i), e.Slice(i+1, e.Len())).Interface())
		}
		if e.Len() > 0 {
			out = append(out, reflect.Append(e.Slice3(0, e.Len(), e.Len()), e.Index(0)).Interface())
		}
	case reflect.Bool:
		out = append(out, !e.Bool())
	case reflect.String:
		out = append(out, e.String()+"x")
	}
	return out
}

package reconcile

import (
	"reflect"
	"slices"
	"sync"

	"github.com/hashicorp/nomad/api"
)

// counted is what servers count or keep beside a job: no dry-run compares it. A
// job's update block is in its groups, and what it says of reschedule and migrate
// too; a scaling policy keeps its ID as long as its target stays.
var counted = map[reflect.Type][]string{
	reflect.TypeFor[api.Job](): {
		"Update", "Reschedule", "Migrate", "NomadTokenID", "Status", "StatusDescription", "Stable", "Version",
		"SubmitTime", "CreateIndex", "ModifyIndex", "JobModifyIndex", "VersionTag",
	},
	reflect.TypeFor[api.ScalingPolicy](): {"ID", "Namespace", "CreateIndex", "ModifyIndex"},
	reflect.TypeFor[api.VolumeRequest](): {"ExtraKeysHCL"},
}

// sameValues compares two values of one type. An empty list or map is none, but nil is not
// zero: to a dry-run that is a difference.
func sameValues(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() && b.IsNil()
		}
		return sameValues(a.Elem(), b.Elem())
	case reflect.Struct:
		return !slices.ContainsFunc(compared(a.Type()), func(i int) bool { return !sameValues(a.Field(i), b.Field(i)) })
	case reflect.Slice:
		return sameLists(a, b)
	case reflect.Map:
		return sameMaps(a, b)
	case reflect.Interface:
		return sameFree(a.Elem(), b.Elem())
	}
	return a.Equal(b)
}

var comparedFields sync.Map // reflect.Type -> []int

// compared is the fields of a struct that sameValues looks at.
func compared(t reflect.Type) []int {
	if known, ok := comparedFields.Load(t); ok {
		return known.([]int)
	}
	var fields []int
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && !slices.Contains(counted[t], f.Name) {
			fields = append(fields, i)
		}
	}
	comparedFields.Store(t, fields)
	return fields
}

func sameLists(a, b reflect.Value) bool {
	if as, ok := a.Interface().([]*api.Constraint); ok {
		return sameConstraints(as, b.Interface().([]*api.Constraint))
	}
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if !sameValues(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

// sameConstraints: they are a set, and Nomad adds some of them again each time.
func sameConstraints(a, b []*api.Constraint) bool {
	within := func(a, b []*api.Constraint) bool {
		return !slices.ContainsFunc(a, func(c *api.Constraint) bool { return !constrains(b, *c) })
	}
	return within(a, b) && within(b, a)
}

func constrains(list []*api.Constraint, c api.Constraint) bool {
	return slices.ContainsFunc(list, func(have *api.Constraint) bool { return *have == c })
}

// sameMaps: of what the user is free in, an empty map is not none: Nomad shows a
// scaling policy that is {} now as added.
func sameMaps(a, b reflect.Value) bool {
	if a.Len() != b.Len() || a.Type().Elem().Kind() == reflect.Interface && a.IsNil() != b.IsNil() {
		return false
	}
	for it := a.MapRange(); it.Next(); {
		other := b.MapIndex(it.Key())
		if !other.IsValid() || !sameValues(it.Value(), other) {
			return false
		}
	}
	return true
}

// sameFree compares what the user is free in, such as a task's config: one side was
// read from JSON, where each number is a float64 and each list one of anything. There
// an empty list is not none.
func sameFree(a, b reflect.Value) bool {
	if !a.IsValid() || !b.IsValid() {
		return a.IsValid() == b.IsValid()
	}
	if a.Kind() == reflect.Interface || b.Kind() == reflect.Interface {
		return sameFree(behind(a), behind(b))
	}
	switch {
	case isNumber(a) && isNumber(b):
		return number(a) == number(b)
	case a.Kind() != b.Kind():
		return false
	}
	switch a.Kind() {
	case reflect.Slice:
		return sameFreeLists(a, b)
	case reflect.Map:
		return sameFreeMaps(a, b)
	case reflect.String, reflect.Bool:
		return a.Equal(b)
	}
	return false // nothing that JSON knows
}

func behind(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Interface {
		return v.Elem()
	}
	return v
}

func isNumber(v reflect.Value) bool { return v.CanInt() || v.CanUint() || v.CanFloat() }

func number(v reflect.Value) float64 { return v.Convert(reflect.TypeFor[float64]()).Float() }

func sameFreeLists(a, b reflect.Value) bool {
	if a.Len() != b.Len() || a.IsNil() != b.IsNil() {
		return false
	}
	for i := range a.Len() {
		if !sameFree(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

func sameFreeMaps(a, b reflect.Value) bool {
	if a.Len() != b.Len() || a.IsNil() != b.IsNil() || a.Type().Key() != b.Type().Key() {
		return false
	}
	for it := a.MapRange(); it.Next(); {
		other := b.MapIndex(it.Key())
		if !other.IsValid() || !sameFree(it.Value(), other) {
			return false
		}
	}
	return true
}

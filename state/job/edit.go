package job

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/gocty"
)

// Op is the kind of an Edit.
type Op string

// The operations: Set gives a place a value and makes what it needs (a missing
// key, attribute or block) on the way; Remove takes a list element, a map key or an
// attribute away; Replace changes a part of a string.
const (
	Set     Op = "set"
	Remove  Op = "remove"
	Replace Op = "replace"
)

// Edit is one change at one place. List indices, and bytes of strings, are those
// of the job as it was read, whatever other edits do to the same list or string.
type Edit struct {
	Path  Path
	Op    Op
	Old   string    // Replace: the part of the string that goes
	At    int       // Replace: the byte where Old stands; 0: wherever it stands first
	Value cty.Value // Set: the value; Replace: what takes Old's place; Remove: the value that goes, if known
}

// String is the edit in one line, without its values, which may be secret.
func (e Edit) String() string { return string(e.Op) + " " + e.Path.String() }

// Sort orders edits so that doing them one after the other keeps every index
// meaningful: parts of strings from the end, and then removals from lists, highest
// index first.
func Sort(edits []Edit) []Edit {
	out := slices.Clone(edits)
	slices.SortStableFunc(out, func(a, b Edit) int {
		switch turn := a.turn(); {
		case turn != b.turn():
			return cmp.Compare(turn, b.turn())
		case turn == removals:
			return -compareIndices(a.Path, b.Path)
		}
		return cmp.Compare(b.At, a.At)
	})
	return out
}

// removals is the turn of the edits that move what comes after them in a list.
const removals = 2

func (e Edit) turn() int {
	switch {
	case e.Op == Remove && e.Path.Last().Index >= 0:
		return removals
	case e.Op == Replace:
		return 1
	}
	return 0
}

// Overlaps reports whether both change one place, and not two parts of one string.
func (e Edit) Overlaps(other Edit) bool {
	if !e.Path.Equal(other.Path) {
		return false
	}
	apart := e.At >= other.At+len(other.Old) || other.At >= e.At+len(e.Old)
	return e.Op != Replace || other.Op != Replace || !apart
}

// In is a string with a Replace made in it; false where Old is not there.
func (e Edit) In(s string) (string, bool) {
	by, err := convert.Convert(e.Value, cty.String)
	if err != nil || by.IsNull() {
		return "", false
	}
	if e.At > 0 {
		if e.At > len(s) || !strings.HasPrefix(s[e.At:], e.Old) {
			return "", false
		}
		return s[:e.At] + by.AsString() + s[e.At+len(e.Old):], true
	}
	return strings.Replace(s, e.Old, by.AsString(), 1), strings.Contains(s, e.Old)
}

func compareIndices(a, b Path) int {
	for i := range min(len(a), len(b)) {
		if c := cmp.Compare(a[i].Index, b[i].Index); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// Apply returns a job with the edits made; j stays as it is, and what no edit
// touches the two share. An edit whose place is not there (or does not hold what the
// edit expects) is an error.
func Apply(j *api.Job, edits []Edit) (*api.Job, error) {
	out := new(*j)
	ports := slices.ContainsFunc(edits, func(e Edit) bool { return e.Path.passes("network") })
	if ports {
		out = Clone(j)
	}
	for _, e := range Sort(edits) {
		if len(e.Path) == 0 {
			return nil, fmt.Errorf("an edit needs a path")
		}
		if err := editStruct(reflect.ValueOf(out).Elem(), e.Path, e); err != nil {
			return nil, fmt.Errorf("%s: %w", e, err)
		}
	}
	if ports {
		sortPorts(out)
	}
	return out, nil
}

func (p Path) passes(name string) bool {
	return slices.ContainsFunc(p, func(s Step) bool { return s.Name == name })
}

// own gives a field a copy of what it shares, as far as its own blocks go: what is
// in them is shared until an edit goes there.
func own(field reflect.Value) {
	if k := field.Kind(); (k == reflect.Pointer || k == reflect.Slice) && field.IsNil() {
		return
	}
	switch field.Kind() {
	case reflect.Pointer:
		block := reflect.New(field.Type().Elem())
		block.Elem().Set(field.Elem())
		field.Set(block)
	case reflect.Slice:
		list := reflect.MakeSlice(field.Type(), field.Len(), field.Len())
		reflect.Copy(list, field)
		for i := range list.Len() {
			own(list.Index(i))
		}
		field.Set(list)
	case reflect.Map:
		field.Set(clone(field))
	}
}

// sortPorts keeps ports in the list where Nomad's parser puts them.
func sortPorts(j *api.Job) {
	for _, g := range j.TaskGroups {
		networks := slices.Clone(g.Networks)
		for _, t := range g.Tasks {
			if t.Resources != nil {
				networks = append(networks, t.Resources.Networks...)
			}
		}
		for _, n := range networks {
			movePorts(n)
		}
	}
}

func movePorts(n *api.NetworkResource) {
	static := func(p api.Port) bool { return p.Value > 0 }
	if !slices.ContainsFunc(n.DynamicPorts, static) && !slices.ContainsFunc(n.ReservedPorts, func(p api.Port) bool { return !static(p) }) {
		return
	}
	var dynamic, reserved []api.Port
	for _, p := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
		if static(p) {
			reserved = append(reserved, p)
		} else {
			dynamic = append(dynamic, p)
		}
	}
	n.DynamicPorts, n.ReservedPorts = dynamic, reserved
}

// At is the value at a path, and whether there is such a place with a value.
func At(j *api.Job, p Path) (cty.Value, bool) {
	if j == nil {
		return cty.NilVal, false
	}
	part, p := descend(reflect.ValueOf(j).Elem(), p)
	v := narrowed(part, p)
	for _, s := range p {
		var ok bool
		if v, ok = step(v, s); !ok {
			return cty.NilVal, false
		}
	}
	return v, !v.IsNull()
}

// descend goes down labelled blocks by themselves: to turn a whole job into values
// costs more than to parse one.
func descend(v reflect.Value, p Path) (reflect.Value, Path) {
	for len(p) > 0 {
		f, ok := FieldNamed(v.Type(), p[0].Name)
		if !ok || f.Kind != BlockField || f.Type.Kind() != reflect.Slice || p[0].Key == "" || p[0].Index >= 0 || v.Type() == networkType {
			return v, p
		}
		block, _, err := blockAt(v.Field(f.Index), p[0], Edit{Op: Remove})
		if err != nil {
			return v, p
		}
		v, p = block, p[1:]
	}
	return v, p
}

var networkType = reflect.TypeFor[api.NetworkResource]() // its ports are in two lists

// narrowed is a struct as an object, with the one attribute that the path asks for
// where there is such a path.
func narrowed(v reflect.Value, p Path) cty.Value {
	if len(p) == 0 || v.Type() == networkType {
		return toCty(v)
	}
	f, ok := FieldNamed(v.Type(), p[0].Name)
	if !ok { // its label, or nothing
		return toCty(v)
	}
	return cty.ObjectVal(map[string]cty.Value{f.Name: fieldToCty(v.Field(f.Index), f)})
}

func step(v cty.Value, s Step) (cty.Value, bool) {
	ok := true
	if s.Name != "" {
		v, ok = attr(v, s.Name)
	}
	if ok && s.Key != "" {
		v, ok = attr(v, s.Key)
	}
	if ok && s.Index >= 0 {
		if v.IsNull() || !v.Type().IsTupleType() || s.Index >= v.LengthInt() {
			return cty.NilVal, false
		}
		v = v.Index(cty.NumberIntVal(int64(s.Index)))
	}
	return v, ok
}

func attr(v cty.Value, name string) (cty.Value, bool) {
	// Nested config blocks are lists of maps with one element.
	if !v.IsNull() && v.Type().IsTupleType() && v.LengthInt() == 1 {
		v = v.Index(cty.Zero)
	}
	if v.IsNull() || !v.Type().IsObjectType() || !v.Type().HasAttribute(name) {
		return cty.NilVal, false
	}
	return v.GetAttr(name), true
}

func editStruct(v reflect.Value, p Path, e Edit) error {
	s := p[0]
	f, ok := FieldNamed(v.Type(), s.Name)
	if !ok {
		return fmt.Errorf("a job has no %q here", s.Name)
	}
	field := v.Field(f.Index)
	if n, ok := v.Addr().Interface().(*api.NetworkResource); ok && s.Name == "port" && isReserved(n, s.Key) {
		field = reflect.ValueOf(&n.ReservedPorts).Elem()
	}
	if f.Kind == BlockField {
		own(field)
		if block, isBlock, err := blockAt(field, s, e); err != nil || isBlock {
			switch {
			case err != nil:
				return err
			case len(p) > 1:
				return editStruct(block, p[1:], e)
			}
			return removeBlock(field, s, e)
		}
	}
	return editField(field, p, e)
}

// isReserved: nomad/api keeps ports with a number in a list of their own.
func isReserved(n *api.NetworkResource, label string) bool {
	return slices.ContainsFunc(n.ReservedPorts, func(p api.Port) bool { return p.Label == label })
}

// blockAt is the struct of the block that s names in field; isBlock is false
// for blocks that hold free keys (env, meta, config).
func blockAt(field reflect.Value, s Step, e Edit) (block reflect.Value, isBlock bool, err error) {
	switch field.Kind() {
	case reflect.Pointer:
		if field.IsNil() {
			if e.Op != Set {
				return block, true, fmt.Errorf("there is no %s block", s.Name)
			}
			field.Set(reflect.New(field.Type().Elem()))
		}
		return field.Elem(), true, nil
	case reflect.Slice:
		for i := range field.Len() {
			label, _ := Label(field.Index(i))
			if (s.Key != "" && label == s.Key) || (s.Key == "" && max(s.Index, 0) == i) {
				return reflect.Indirect(field.Index(i)), true, nil
			}
		}
		return block, true, fmt.Errorf("there is no such %s block", s.Name)
	case reflect.Map:
		if field.Type().Elem().Kind() != reflect.Pointer {
			return block, false, nil
		}
		if b := field.MapIndex(reflect.ValueOf(s.Key)); b.IsValid() && !b.IsNil() {
			return b.Elem(), true, nil
		}
		return block, true, fmt.Errorf("there is no %s %q block", s.Name, s.Key)
	}
	return block, false, nil
}

func removeBlock(field reflect.Value, s Step, e Edit) error {
	if e.Op != Remove {
		return fmt.Errorf("a block can only be removed whole")
	}
	switch field.Kind() {
	case reflect.Pointer:
		field.SetZero()
	case reflect.Map:
		field.SetMapIndex(reflect.ValueOf(s.Key), reflect.Value{})
	case reflect.Slice:
		for i := range field.Len() {
			label, _ := Label(field.Index(i))
			if (s.Key != "" && label == s.Key) || (s.Key == "" && max(s.Index, 0) == i) {
				field.Set(reflect.AppendSlice(field.Slice(0, i), field.Slice(i+1, field.Len())))
				return nil
			}
		}
	}
	return nil
}

// editField edits an attribute or a block of free keys through its untyped form.
func editField(field reflect.Value, p Path, e Edit) error {
	field.Set(clone(field))
	first := Step{Index: p[0].Index}
	rest := p[1:]
	if first.Index >= 0 {
		rest = append(Path{first}, rest...)
	}
	if len(rest) == 0 && e.Op == Remove {
		field.SetZero()
		return nil
	}
	out, err := editAny(untyped(field), rest, e)
	if err != nil {
		return err
	}
	if m, ok := out.(map[string]any); ok && len(rest) == 1 && e.Op == Set && field.Type() == reflect.TypeFor[map[string]any]() {
		asBlock(m, rest[0].Name)
	}
	return assign(field, out)
}

// asBlock: a map that stands directly in a config is a list of one map, as Nomad
// reads it.
func asBlock(m map[string]any, key string) {
	if inner, ok := m[key].(map[string]any); ok {
		m[key] = []map[string]any{inner}
	}
}

func untyped(v reflect.Value) any {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = v.Index(i).Interface()
		}
		return list
	case reflect.Map:
		m := make(map[string]any, v.Len())
		for _, k := range v.MapKeys() {
			m[k.String()] = untypedElem(v.MapIndex(k))
		}
		return m
	}
	return v.Interface()
}

func untypedElem(v reflect.Value) any {
	if v.Kind() == reflect.Slice {
		return untyped(v) // header = { X = [...] }
	}
	return v.Interface()
}

func editAny(cur any, p Path, e Edit) (any, error) {
	if len(p) == 0 {
		return editLeaf(cur, e)
	}
	s := p[0]
	switch {
	case s.Name != "":
		rest := p[1:]
		if s.Index >= 0 || s.Key != "" {
			rest = append(Path{{Key: s.Key, Index: s.Index}}, rest...)
		}
		return editKey(cur, s.Name, rest, e)
	case s.Key != "":
		rest := p[1:]
		if s.Index >= 0 {
			rest = append(Path{{Index: s.Index}}, rest...)
		}
		return editKey(cur, s.Key, rest, e)
	}
	return editElem(cur, s.Index, p[1:], e)
}

func editKey(cur any, key string, rest Path, e Edit) (any, error) {
	switch m := cur.(type) {
	case []map[string]any: // a nested block in a config: a list with one map
		if len(m) != 1 {
			return nil, fmt.Errorf("there are %d blocks here, say which", len(m))
		}
		inner, err := editKey(m[0], key, rest, e)
		if err != nil {
			return nil, err
		}
		return []map[string]any{inner.(map[string]any)}, nil
	case nil:
		if e.Op != Set {
			return nil, fmt.Errorf("there is no %q", key)
		}
		return editKey(map[string]any{}, key, rest, e)
	case map[string]any:
		old, ok := m[key]
		if !ok && e.Op != Set {
			return nil, fmt.Errorf("there is no %q", key)
		}
		if len(rest) == 0 && e.Op == Remove {
			delete(m, key)
			return m, nil
		}
		inner, err := editAny(old, rest, e)
		if err != nil {
			return nil, err
		}
		m[key] = inner
		return m, nil
	}
	return nil, fmt.Errorf("%q is asked of a value that is no map", key)
}

func editElem(cur any, i int, rest Path, e Edit) (any, error) {
	switch list := cur.(type) {
	case []map[string]any:
		generic := make([]any, len(list))
		for k := range list {
			generic[k] = list[k]
		}
		out, err := editElem(generic, i, rest, e)
		if err != nil {
			return nil, err
		}
		return asMaps(out.([]any)), nil
	case []any:
		if i < 0 || i >= len(list) {
			return nil, fmt.Errorf("there is no element %d", i)
		}
		if len(rest) == 0 && e.Op == Remove {
			return slices.Delete(list, i, i+1), nil
		}
		inner, err := editAny(list[i], rest, e)
		if err != nil {
			return nil, err
		}
		list[i] = inner
		return list, nil
	}
	return nil, fmt.Errorf("element %d is asked of a value that is no list", i)
}

// asMaps is the list as Nomad keeps it: one of nothing but maps is typed so.
func asMaps(list []any) any {
	maps := make([]map[string]any, 0, len(list))
	for _, elem := range list {
		m, ok := elem.(map[string]any)
		if !ok {
			return list
		}
		maps = append(maps, m)
	}
	return maps
}

func editLeaf(cur any, e Edit) (any, error) {
	switch e.Op {
	case Set:
		return GoValue(e.Value)
	case Replace:
		if by, err := convert.Convert(e.Value, cty.String); err != nil || by.IsNull() {
			return nil, fmt.Errorf("a part of a string can only be replaced by a string")
		}
		s, _ := cur.(string)
		out, ok := e.In(s)
		if !ok {
			return nil, fmt.Errorf("the text to replace is not there")
		}
		return out, nil
	}
	return nil, fmt.Errorf("there is nothing to %s here", e.Op)
}

// assign gives a typed field an untyped value, with HCL's conversions.
func assign(field reflect.Value, x any) error {
	switch {
	case field.Kind() == reflect.Pointer && x == nil:
		field.SetZero()
		return nil
	case field.Kind() == reflect.Pointer:
		p := reflect.New(field.Type().Elem())
		if err := assign(p.Elem(), x); err != nil {
			return err
		}
		field.Set(p)
		return nil
	case field.Type() == reflect.TypeFor[map[string]any]():
		m, ok := x.(map[string]any)
		if !ok {
			return fmt.Errorf("this place holds a map")
		}
		field.Set(reflect.ValueOf(m))
		return nil
	case field.Type() == durationType:
		return assignDuration(field, x)
	}
	if m, ok := texts(x); ok && field.Type() == reflect.TypeFor[map[string]string]() {
		field.Set(reflect.ValueOf(m))
		return nil
	}
	return assignConverted(field, x)
}

// texts is a map of nothing but strings, which env and meta mostly are.
func texts(x any) (map[string]string, bool) {
	m, ok := x.(map[string]any)
	out := make(map[string]string, len(m))
	for key, v := range m {
		text, isText := v.(string)
		if !isText {
			return nil, false
		}
		out[key] = text
	}
	return out, ok
}

func assignConverted(field reflect.Value, x any) error {
	want, err := gocty.ImpliedType(field.Interface())
	if err != nil {
		return fmt.Errorf("this place cannot be set")
	}
	v, err := convert.Convert(toCty(reflect.ValueOf(x)), want)
	if err != nil {
		return err
	}
	out := reflect.New(field.Type())
	if err := gocty.FromCtyValue(v, out.Interface()); err != nil {
		return err
	}
	field.Set(out.Elem())
	return nil
}

func assignDuration(field reflect.Value, x any) error {
	switch x := x.(type) {
	case string:
		d, err := time.ParseDuration(x)
		if err != nil {
			return fmt.Errorf("%q is not a duration such as 30s", x)
		}
		field.SetInt(int64(d))
	case int:
		field.SetInt(int64(x))
	case time.Duration:
		field.SetInt(int64(x))
	default:
		return fmt.Errorf("this place holds a duration such as \"30s\"")
	}
	return nil
}

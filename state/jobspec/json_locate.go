package jobspec

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// jsonValue is a value and where it stands. Its methods take a nil, which has
// nothing.
type jsonValue struct {
	kind       byte // { [ s(tring) n(ull) or v for any other; 0: the text ends before it
	start, end int  // bytes
	text       string
	members    []jsonMember
	elems      []*jsonValue
}

type jsonMember struct {
	key   string
	value *jsonValue
}

// deepest is how deep encoding/json goes too.
const deepest = 10000

// jsonReader makes a tree of tokens; of broken JSON, of what stands before the
// mistake.
type jsonReader struct {
	src    []byte
	tokens *json.Decoder
	broken bool
}

func readJSON(src []byte) *jsonValue {
	r := jsonReader{src: src, tokens: json.NewDecoder(bytes.NewReader(src))}
	r.tokens.UseNumber()
	return r.value(0)
}

func (r *jsonReader) next() (token json.Token, start int) {
	start = int(r.tokens.InputOffset())
	for start < len(r.src) && strings.IndexByte(" \t\r\n,:", r.src[start]) >= 0 {
		start++
	}
	token, err := r.tokens.Token()
	r.broken = r.broken || err != nil
	return token, start
}

func (r *jsonReader) value(depth int) *jsonValue {
	token, start := r.next()
	v := &jsonValue{start: start}
	if r.broken = r.broken || depth > deepest; r.broken {
		v.end = start
		return v
	}
	switch token := token.(type) {
	case json.Delim:
		v.kind = byte(token)
		r.fill(v, depth)
	case string:
		v.kind, v.text = 's', token
	case nil:
		v.kind = 'n'
	default:
		v.kind = 'v'
	}
	v.end = int(r.tokens.InputOffset())
	return v
}

func (r *jsonReader) fill(v *jsonValue, depth int) {
	for !r.broken && r.tokens.More() {
		if v.kind == '[' {
			v.elems = append(v.elems, r.value(depth+1))
			continue
		}
		key, _ := r.next()
		if name, ok := key.(string); ok && !r.broken {
			v.members = append(v.members, jsonMember{name, r.value(depth + 1)})
		}
	}
	if !r.broken {
		r.next()
	}
}

// get is the member of that name in any case; of several the last, which counts.
func (v *jsonValue) get(name string) *jsonValue {
	if all := v.all(name, strings.EqualFold); len(all) > 0 {
		return all[0]
	}
	return nil
}

// all are the members of that name, the last first.
func (v *jsonValue) all(name string, same func(a, b string) bool) []*jsonValue {
	var out []*jsonValue
	if v == nil {
		return nil
	}
	for _, m := range slices.Backward(v.members) {
		if same(m.key, name) {
			out = append(out, m.value)
		}
	}
	return out
}

func exactly(a, b string) bool { return a == b }

func (v *jsonValue) elem(i int) *jsonValue {
	if v == nil || i < 0 || i >= len(v.elems) {
		return nil
	}
	return v.elems[i]
}

// at is the innermost value that holds a byte.
func (v *jsonValue) at(offset int) *jsonValue {
	for _, e := range v.elems {
		if e.start <= offset && offset < e.end {
			return e.at(offset)
		}
	}
	for _, m := range v.members {
		if m.value.start <= offset && offset < m.value.end {
			return m.value.at(offset)
		}
	}
	return v
}

func (v *jsonValue) jobBody() *jsonValue {
	if inner := v.get("Job"); inner != nil && inner.kind == '{' {
		return inner
	}
	return v
}

// locateJSON is the innermost place on the way to p.
func (f *File) locateJSON(p job.Path) *jsonValue {
	if f.tree == nil {
		f.tree = readJSON(f.Bytes)
	}
	found, _ := typedJSON{f.tree.jobBody(), reflect.TypeFor[api.Job]()}.locate(p)
	return found
}

// typedJSON is a value and the type that it is read into.
type typedJSON struct {
	*jsonValue
	t reflect.Type
}

// locate also says how many steps it could go. Objects that are given twice are
// merged, so what is not in the last may be in the first.
func (v typedJSON) locate(p job.Path) (found *jsonValue, steps int) {
	found = v.jsonValue
	if len(p) == 0 {
		return found, 0
	}
	for _, next := range v.step(p[0]) {
		at, n := next.jsonValue, 0
		if elem, ok := next.index(p[0].Index); ok {
			at, n = elem.locate(p[1:])
		}
		if n+1 > steps {
			found, steps = at, n+1
		}
	}
	return found, steps
}

// index is false where a list has no such element.
func (v typedJSON) index(i int) (typedJSON, bool) {
	elem := v.elem(i)
	switch {
	case elem != nil:
		return typedJSON{elem, elemType(v.t)}, true
	case i < 0, i == 0 && v.kind == '{': // an only map stands for a list of one
		return v, true
	}
	return v, false
}

// step are the values that a step's name and label may mean.
func (v typedJSON) step(s job.Step) []typedJSON {
	t := bare(v.t)
	if s.Name == "" {
		return []typedJSON{v}
	}
	var out []typedJSON
	if t.Kind() != reflect.Struct {
		for _, m := range v.all(s.Name, exactly) {
			out = append(out, typedJSON{m, elemType(t)})
		}
		return out
	}
	for _, field := range goFields(t, s.Name) {
		for _, m := range v.all(field.Go, strings.EqualFold) {
			if inner := (typedJSON{m, field.Type}); s.Key == "" {
				out = append(out, inner)
			} else {
				out = append(out, inner.labelled(s.Key)...)
			}
		}
	}
	return out
}

// goFields: job files write port for what nomad/api keeps in two lists.
func goFields(t reflect.Type, name string) []job.Field {
	var out []job.Field
	if f, ok := job.FieldNamed(t, name); ok {
		out = append(out, f)
	}
	if name == "port" {
		if f, ok := job.FieldNamed(t, "reserved_ports"); ok {
			out = append(out, f)
		}
	}
	return out
}

// labelled are the elements of a list with that label, or of a map under that key.
func (v typedJSON) labelled(label string) []typedJSON {
	t := elemType(v.t)
	var out []typedJSON
	if bare(v.t).Kind() == reflect.Map {
		for _, m := range v.all(label, exactly) {
			out = append(out, typedJSON{m, t})
		}
	}
	for _, e := range v.elems {
		if own := e.label(t); own != nil && own.text == label {
			out = append(out, typedJSON{e, t})
		}
	}
	return out
}

// label is the value that a job file writes as the label of the block.
func (v *jsonValue) label(t reflect.Type) *jsonValue {
	if t = bare(t); t.Kind() != reflect.Struct {
		return nil
	}
	for _, field := range job.Fields(t) {
		if field.Kind == job.LabelField {
			return v.get(field.Go)
		}
	}
	return nil
}

func bare(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// elemType is what a list or a map holds; all below an untyped place is untyped.
func elemType(t reflect.Type) reflect.Type {
	switch t = bare(t); t.Kind() {
	case reflect.Slice, reflect.Map:
		return t.Elem()
	}
	return t
}

// jsonRange is a value's place; of an object or a list of more than one line, its
// name, or its first byte.
func (f *File) jsonRange(v *jsonValue) hcl.Range {
	if v == nil {
		return f.rangeAt(0, 0)
	}
	if bytes.IndexByte(f.Bytes[v.start:v.end], '\n') < 0 {
		return f.rangeAt(v.start, v.end)
	}
	for _, key := range []string{"ID", "Name", "Label"} {
		if name := v.get(key); name != nil && name.kind == 's' {
			return f.rangeAt(name.start, name.end)
		}
	}
	return f.rangeAt(v.start, v.start+1)
}

// rangeOfJSON is the place of what an edit would change; of a Replace the very
// text, where it stands as it is.
func (f *File) rangeOfJSON(e job.Edit) hcl.Range {
	v := f.locateJSON(e.Path)
	if e.Op != job.Replace || e.Old == "" || v.kind != 's' {
		return f.jsonRange(v)
	}
	at := v.start
	for n := nth(e, v.text); ; n-- {
		i := bytes.Index(f.Bytes[at:v.end], []byte(e.Old))
		switch {
		case i < 0:
			return f.jsonRange(v)
		case n == 0:
			return f.rangeAt(at+i, at+i+len(e.Old))
		}
		at += i + len(e.Old)
	}
}

func (f *File) rangeAt(start, end int) hcl.Range {
	return hcl.Range{Filename: f.Name, Start: f.pos(start), End: f.pos(min(end, len(f.Bytes)))}
}

package job

import (
	"reflect"
	"strings"
	"sync"
)

// FieldKind says how a job file writes a field.
type FieldKind int

// The kinds of field: NAME = VALUE, NAME { ... }, and the label of a block.
const (
	AttrField FieldKind = iota
	BlockField
	LabelField
)

// Field is one `hcl` tag of a nomad/api struct.
type Field struct {
	Name     string // as in a job file; a label without a name of its own is "name"
	Kind     FieldKind
	Required bool
	Index    int // in the Go struct
	Go       string
	Type     reflect.Type
}

var schemas sync.Map // reflect.Type -> []Field

// Fields lists the fields of a nomad/api struct that job files know, in the
// order of the struct. Fields that only the server sets have no tag.
func Fields(t reflect.Type) []Field {
	if fields, ok := schemas.Load(t); ok {
		return fields.([]Field)
	}
	var fields []Field
	for i := range t.NumField() {
		if f, ok := fieldOf(t.Field(i)); ok {
			f.Index = i
			fields = append(fields, f)
		}
	}
	schemas.Store(t, fields)
	return fields
}

func fieldOf(sf reflect.StructField) (Field, bool) {
	tag, ok := sf.Tag.Lookup("hcl")
	if !ok || tag == "-" {
		return Field{}, false
	}
	name, option, _ := strings.Cut(tag, ",")
	f := Field{Name: name, Go: sf.Name, Type: sf.Type}
	switch option {
	case "label":
		f.Kind = LabelField
		if name == "" {
			f.Name = "name"
		}
	case "block":
		f.Kind = BlockField
	default:
		f.Kind = AttrField
		f.Required = option == ""
	}
	return f, true
}

// FieldNamed is the attribute or block of that name in a nomad/api struct.
func FieldNamed(t reflect.Type, name string) (Field, bool) {
	for _, f := range Fields(t) {
		if f.Name == name && f.Kind != LabelField {
			return f, true
		}
	}
	return Field{}, false
}

// Label is the label of a block's struct and whether its type has one.
func Label(v reflect.Value) (string, bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "", false
		}
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return "", false
	}
	for _, f := range Fields(v.Type()) {
		if f.Kind != LabelField {
			continue
		}
		label := reflect.Indirect(v.Field(f.Index))
		if !label.IsValid() {
			return "", true
		}
		return label.String(), true
	}
	return "", false
}

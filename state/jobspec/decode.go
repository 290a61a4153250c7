package jobspec

import (
	"fmt"
	"maps"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/gocty"

	"nomad-reconcile/state/job"
)

// decoder turns one syntax tree into one job. The walk below is the one place
// that knows how a job file maps to nomad/api; special.go holds its exceptions.
type decoder struct {
	name   string
	src    []byte
	inputs Inputs
	diags  hcl.Diagnostics
	trace  *trace // not nil: the walk only looks where things stand, and evaluates no attribute

	usesFS, volatile bool

	base   *scope
	vars   variables
	locals locals

	job    *api.Job
	top    extras                    // what stands in the job for all its tasks
	groups map[*api.TaskGroup]extras // the same in a group
}

func newDecoder(name string, src []byte, in Inputs) *decoder {
	return &decoder{
		name: name, src: src, inputs: in,
		base:   &scope{ctx: &hcl.EvalContext{Variables: map[string]cty.Value{}}},
		vars:   variables{declared: map[string]*declared{}},
		locals: locals{exprs: map[string]*hclsyntax.Attribute{}, values: map[string]cty.Value{}},
		job:    &api.Job{},
		groups: map[*api.TaskGroup]extras{},
	}
}

// functions are made when the first expression needs them.
func (d *decoder) functions() map[string]function.Function {
	if d.base.ctx.Functions == nil {
		d.base.ctx.Functions = functionsFor(d.inputs)
	}
	return d.base.ctx.Functions
}

func (d *decoder) add(diags hcl.Diagnostics) { d.diags = append(d.diags, diags...) }

func (d *decoder) errorf(at hcl.Range, summary, detail string, args ...any) {
	d.diags = append(d.diags, diagnostic(hcl.DiagError, at, summary, fmt.Sprintf(detail, args...)))
}

func (d *decoder) unknown(what, name string, at hcl.Range, known []string) {
	d.errorf(at, "Unsupported "+what, "There is no %s %q here.%s", what, name, didYouMean(name, known))
}

// file decodes the whole file.
func (d *decoder) file(body *hclsyntax.Body) {
	for _, attr := range body.Attributes {
		d.unknown("argument", attr.Name, attr.NameRange, nil)
	}
	header := d.topBlocks(body)
	d.variableBlocks(body)
	d.localBlocks(body)
	d.collect(d.inputs)
	if d.diags.HasErrors() {
		return // what is unset or invalid may follow from it
	}
	d.checkVariables()
	d.base.ctx.Variables["var"] = d.vars.object()
	if d.diags.HasErrors() {
		return
	}
	d.evaluateLocals()
	if d.diags.HasErrors() || header == nil {
		return
	}
	if d.jobBlock(header); !d.diags.HasErrors() {
		d.normalize(header.Labels[0])
	}
}

func (d *decoder) jobBlock(header *hclsyntax.Block) {
	d.trace.header(header, d)
	d.structBody(block{Block: header, body: header.Body, scope: d.base}, reflect.ValueOf(d.job).Elem(), nil)
}

// topBlocks checks which blocks there are and returns the job's.
func (d *decoder) topBlocks(body *hclsyntax.Body) *hclsyntax.Block {
	var found *hclsyntax.Block
	for _, b := range body.Blocks {
		switch {
		case b.Type == "variable" || b.Type == "variables" || b.Type == "locals":
		case b.Type != "job":
			d.unknown("block", b.Type, b.TypeRange, []string{"job", "variable", "variables", "locals"})
		case found != nil:
			d.errorf(b.DefRange(), "Duplicate job block", "A job file holds one job; the first is at %s. Move this one to a file of its own.", found.DefRange())
		case d.labels(b, 1):
			found = b
		}
	}
	if found == nil && !d.diags.HasErrors() {
		d.errorf(body.MissingItemRange(), "Missing job block", "A job file needs a block `job \"NAME\" { ... }`.")
	}
	return found
}

// labels checks that a block has that many of them.
func (d *decoder) labels(b *hclsyntax.Block, want int) bool {
	switch {
	case len(b.Labels) < want:
		d.errorf(b.DefRange(), "Missing name for "+b.Type, "A %s block needs a label: `%s \"NAME\" { ... }`.", b.Type, b.Type)
		return false
	case len(b.Labels) > want:
		d.errorf(b.LabelRanges[want], "Extraneous label for "+b.Type, "A %s block has %d label(s).", b.Type, want)
		return false
	}
	return true
}

// justAttributes visits the attributes of a body that may hold nothing else.
func (d *decoder) justAttributes(body *hclsyntax.Body, visit func(*hclsyntax.Attribute)) {
	for _, b := range body.Blocks {
		d.unknown("block", b.Type, b.TypeRange, nil)
	}
	attrs := slices.SortedFunc(maps.Values(body.Attributes), func(a, b *hclsyntax.Attribute) int {
		return a.SrcRange.Start.Byte - b.SrcRange.Start.Byte
	})
	for _, attr := range attrs {
		visit(attr)
	}
}

// schema is job.Fields by name.
type schema struct {
	attrs, blocks map[string]job.Field
	label         *job.Field
	names         []string
	required      []string
}

var schemas sync.Map // reflect.Type -> *schema

func schemaOf(t reflect.Type) *schema {
	if s, ok := schemas.Load(t); ok {
		return s.(*schema)
	}
	s := &schema{attrs: map[string]job.Field{}, blocks: map[string]job.Field{}}
	for _, f := range job.Fields(t) {
		switch f.Kind {
		case job.LabelField:
			s.label = new(f)
			continue
		case job.BlockField:
			s.blocks[f.Name] = f
		case job.AttrField:
			s.attrs[f.Name] = f
			if f.Required && f.Type.Kind() != reflect.Pointer {
				s.required = append(s.required, f.Name)
			}
		}
		s.names = append(s.names, f.Name)
	}
	schemas.Store(t, s)
	return s
}

// structBody decodes a block's body into a nomad/api struct at path p.
func (d *decoder) structBody(b block, v reflect.Value, p job.Path) {
	if d.shortcuts(b, v, p) {
		return
	}
	s := schemaOf(v.Type())
	for name, attr := range b.body.Attributes {
		if f, ok := s.attrs[name]; ok {
			d.traceAttr(p, name, attr, b)
			d.attribute(attr.Expr, b.scope, v.Field(f.Index))
		} else {
			d.otherAttribute(attr, b, s, v, p)
		}
	}
	for _, name := range s.required {
		if b.body.Attributes[name] == nil {
			d.errorf(b.header(), "Missing required argument", "The argument %q is required here.", name)
		}
	}
	if len(b.body.Blocks) > 0 {
		d.structBlocks(b, s, v, p)
	}
	if g, ok := v.Addr().Interface().(*api.TaskGroup); ok {
		d.finishGroup(b, g)
	}
}

func (d *decoder) structBlocks(b block, s *schema, v reflect.Value, p job.Path) {
	labels := func(typ string) (int, bool) { return labelCount(s, v.Type(), typ) }
	d.eachBlock(b, labels, s.names, func(child block) {
		if !d.specialBlock(child, v, p) {
			d.field(child, v.Field(s.blocks[child.typ].Index), p)
		}
	})
}

// otherAttribute: env and meta may be written as maps, all else is a mistake.
func (d *decoder) otherAttribute(attr *hclsyntax.Attribute, b block, s *schema, v reflect.Value, p job.Path) {
	f, isBlock := s.blocks[attr.Name]
	if isBlock && mayBeMap(v.Type(), attr.Name) {
		for _, other := range b.body.Blocks {
			if other.Type == attr.Name {
				d.errorf(other.DefRange(), "Duplicate "+attr.Name+" block", "%s is set at %s already.", attr.Name, attr.NameRange)
				return
			}
		}
		d.traceAttr(p, attr.Name, attr, b)
		d.attribute(attr.Expr, b.scope, v.Field(f.Index))
		return
	}
	if isBlock {
		d.errorf(attr.NameRange, "Unsupported argument", "%s is a block: write `%s { ... }`.", attr.Name, attr.Name)
		return
	}
	d.unknown("argument", attr.Name, attr.NameRange, s.names)
}

// labelCount is how many labels a block of that type has inside a struct, and
// whether there is such a block.
func labelCount(s *schema, parent reflect.Type, typ string) (int, bool) {
	if n, ok := specialLabels(parent, typ); ok {
		return n, true
	}
	f, ok := s.blocks[typ]
	if !ok {
		return 0, false
	}
	if e := elemStruct(f.Type); e != nil && schemaOf(e).label != nil {
		return 1, true
	}
	return 0, true
}

// elemStruct is the struct that blocks of a field's type decode into, or nil.
func elemStruct(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}

// field decodes a block into the field of its parent that its type names.
func (d *decoder) field(b block, field reflect.Value, p job.Path) {
	switch t := field.Type(); t.Kind() {
	case reflect.Slice:
		at := field.Len()
		field.Grow(1)
		field.SetLen(at + 1)
		d.structBlock(b, field.Index(at), d.blockPath(p, b, at))
	case reflect.Map:
		if elemStruct(t) == nil {
			d.sole(b, field.IsNil())
			d.mapBody(b, field, d.blockPath(p, b, -1))
			return
		}
		if field.IsNil() {
			field.Set(reflect.MakeMap(t))
		}
		elem := reflect.New(t.Elem()).Elem()
		d.structBlock(b, elem, d.blockPath(p, b, -1))
		field.SetMapIndex(reflect.ValueOf(b.labels[0].text), elem)
	default:
		d.sole(b, field.IsNil())
		d.structBlock(b, field, d.blockPath(p, b, -1))
	}
}

func (d *decoder) sole(b block, first bool) {
	if !first {
		d.errorf(b.header(), "Duplicate "+b.typ+" block", "Only one %s block is allowed here. Remove one, or merge them.", b.typ)
	}
}

// structBlock decodes into a struct or a pointer to one, its label included.
func (d *decoder) structBlock(b block, v reflect.Value, p job.Path) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	d.traceBlock(p, b)
	if d.trace != nil && !d.trace.goesInto(p) {
		return
	}
	d.structBody(b, v, p)
	if f := schemaOf(v.Type()).label; f != nil && len(b.labels) > 0 {
		label := v.Field(f.Index)
		if label.Kind() == reflect.Pointer {
			label.Set(reflect.New(label.Type().Elem()))
			label = label.Elem()
		}
		label.SetString(b.labels[0].text)
	}
}

// mapBody decodes a block of free keys: env, meta, header, config.
func (d *decoder) mapBody(b block, field reflect.Value, p job.Path) {
	d.traceBlock(p, b)
	if field.Type().Elem().Kind() == reflect.Interface {
		field.Set(reflect.ValueOf(d.untypedBody(b, p)))
		return
	}
	out := reflect.MakeMapWithSize(field.Type(), len(b.body.Attributes))
	elem := reflect.New(field.Type().Elem()).Elem()
	for name, attr := range b.body.Attributes {
		d.traceAttr(p, name, attr, b)
		elem.SetZero()
		d.attribute(attr.Expr, b.scope, elem)
		if texts, ok := out.Interface().(map[string]string); ok {
			texts[name] = elem.String()
			continue
		}
		out.SetMapIndex(reflect.ValueOf(name), elem)
	}
	for _, child := range b.body.Blocks {
		d.errorf(child.DefRange(), "Unsupported block type", "A %s block holds NAME = VALUE lines alone.", b.typ)
	}
	field.Set(out)
}

var durationType = reflect.TypeFor[time.Duration]()

// attribute evaluates an expression into a field.
func (d *decoder) attribute(expr hclsyntax.Expression, s *scope, field reflect.Value) {
	if d.trace != nil || writtenTexts(expr, field) {
		return
	}
	value, diags := d.value(expr, s)
	d.add(diags)
	if diags.HasErrors() || d.simple(value, field) {
		return
	}
	t := field.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == durationType {
		d.duration(value, expr, field)
		return
	}
	if err := assign(value, field); err != nil {
		d.errorf(expr.Range(), "Unsuitable value type", "Unsuitable value: %s.", err)
	}
}

// writtenTexts sets a list of strings that is written out.
func writtenTexts(expr hclsyntax.Expression, field reflect.Value) bool {
	list, ok := expr.(*hclsyntax.TupleConsExpr)
	if !ok || field.Type() != reflect.TypeFor[[]string]() {
		return false
	}
	out := make([]string, len(list.Exprs))
	for i, elem := range list.Exprs {
		text, ok := elem.(*hclsyntax.TemplateExpr)
		if !ok {
			return false
		}
		v, ok := writtenText(text)
		if !ok {
			return false
		}
		out[i] = v.AsString()
	}
	field.Set(reflect.ValueOf(out))
	return true
}

// simple sets what most attributes are, without the detour by which any value
// gets into any field.
func (d *decoder) simple(value cty.Value, field reflect.Value) bool {
	t := field.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if !isSimple(value, t) {
		return false
	}
	field = settable(field)
	switch t.Kind() {
	case reflect.String:
		field.SetString(plainText(value))
	case reflect.Bool:
		field.SetBool(value.True())
	case reflect.Slice:
		field.Set(reflect.ValueOf(texts(value)).Convert(t))
	case reflect.Map:
		field.Set(reflect.ValueOf(textMap(value)).Convert(t))
	default:
		n, _ := value.AsBigFloat().Int64()
		field.SetInt(n)
	}
	return true
}

// settable is the field, or what a new pointer in it points to.
func settable(field reflect.Value) reflect.Value {
	if field.Kind() != reflect.Pointer {
		return field
	}
	field.Set(reflect.New(field.Type().Elem()))
	return field.Elem()
}

// plainText: PORT = 8080 is common, and cty takes a long way to print a number.
func plainText(value cty.Value) string {
	if value.Type() == cty.String {
		return value.AsString()
	}
	n, _ := value.AsBigFloat().Int64()
	return strconv.FormatInt(n, 10)
}

func isWhole(value cty.Value) bool {
	if value.Type() != cty.Number {
		return false
	}
	n, accuracy := value.AsBigFloat().Int64()
	return accuracy == big.Exact && (n != 0 || !value.AsBigFloat().Signbit())
}

func isPlain(value cty.Value) bool { return !value.IsNull() && value.IsKnown() && !value.IsMarked() }

func isSimple(value cty.Value, t reflect.Type) bool {
	if !isPlain(value) || t == durationType {
		return false
	}
	switch t.Kind() {
	case reflect.String:
		return value.Type() == cty.String || isWhole(value)
	case reflect.Bool:
		return value.Type() == cty.Bool
	case reflect.Int:
		return isWhole(value)
	case reflect.Slice:
		return t.Elem().Kind() == reflect.String && (value.Type().IsTupleType() || value.Type().IsListType()) && allTexts(value)
	case reflect.Map:
		return t.Elem().Kind() == reflect.String && (value.Type().IsObjectType() || value.Type().IsMapType()) && allTexts(value)
	}
	return false
}

// allTexts: whole numbers become texts as cty would make them.
func allTexts(value cty.Value) bool {
	for it := value.ElementIterator(); it.Next(); {
		if _, v := it.Element(); !isPlain(v) || v.Type() != cty.String && !isWhole(v) {
			return false
		}
	}
	return true
}

func texts(value cty.Value) []string {
	out := make([]string, 0, value.LengthInt())
	for it := value.ElementIterator(); it.Next(); {
		_, v := it.Element()
		out = append(out, plainText(v))
	}
	return out
}

func textMap(value cty.Value) map[string]string {
	out := make(map[string]string, value.LengthInt())
	for it := value.ElementIterator(); it.Next(); {
		k, v := it.Element()
		out[k.AsString()] = plainText(v)
	}
	return out
}

func assign(value cty.Value, field reflect.Value) error {
	want, err := gocty.ImpliedType(field.Addr().Interface())
	if err != nil {
		return err
	}
	if value, err = convert.Convert(value, want); err != nil {
		return err
	}
	return gocty.FromCtyValue(value, field.Addr().Interface())
}

// duration: "30s", or a number of nanoseconds.
func (d *decoder) duration(value cty.Value, expr hclsyntax.Expression, field reflect.Value) {
	if value.IsNull() || !value.IsKnown() {
		d.errorf(expr.Range(), "Unsuitable value", "A duration such as \"30s\" is required here.")
		return
	}
	if value.Type() == cty.String {
		dur, err := time.ParseDuration(value.AsString())
		if err != nil {
			d.errorf(expr.Range(), "Unsuitable value type", "%q is not a duration such as \"30s\" or \"1h30m\".", value.AsString())
			return
		}
		settable(field).SetInt(int64(dur))
		return
	}
	if value.Type() != cty.Number {
		d.errorf(expr.Range(), "Unsuitable value type", "A duration such as \"30s\" is required here, not a %s.", value.Type().FriendlyName())
		return
	}
	if err := gocty.FromCtyValue(value, field.Addr().Interface()); err != nil {
		d.errorf(expr.Range(), "Unsuitable value type", "Unsuitable value: %s.", err)
	}
}

package jobspec

import (
	"bytes"
	"cmp"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// add writes what is not there yet: an attribute, or a block with one.
func (s *splicer) add(pl place, e job.Edit, rest job.Path) []candidate {
	if e.Op != job.Set {
		return nil
	}
	var out []candidate
	s.unit = s.unitIn(s.indentIn(pl.block, false))
	for _, text := range s.newLines(e, rest) {
		if _, isBlock := blockField(e.Path, len(e.Path)-len(rest)); isBlock {
			out = append(out, s.addBlock(pl.block, rest[0].Name, text))
		} else {
			out = append(out, s.addAttribute(pl.block, rest[0].Name, text)...)
		}
	}
	return out
}

// newLines are the ways to write what comes after pl: the value of an attribute,
// or the inside of a block, with \n and without indentation of its own.
func (s *splicer) newLines(e job.Edit, rest job.Path) []string {
	depth := len(e.Path) - len(rest)
	field, isBlock := blockField(e.Path, depth)
	switch {
	case len(rest) == 1 && !isBlock:
		return literals(e.Value)
	case len(rest) == 1 && field.Type.Kind() == reflect.Map:
		return blockLines(e.Value)
	case len(rest) < 2 || !isBlock:
		return nil
	}
	var out []string
	for _, inner := range s.newLines(e, rest[1:]) {
		name := rest[1].Name
		if !hclsyntax.ValidIdentifier(name) {
			continue
		}
		if _, isBlock := blockField(e.Path, depth+1); isBlock {
			out = append(out, name+" {\n"+indentLines(inner, s.unit, "\n")+"\n}")
		} else {
			out = append(out, name+" = "+inner)
		}
	}
	return out
}

// blockLines writes an object as the lines of a block of free keys.
func blockLines(v cty.Value) []string {
	if v == cty.NilVal || v.IsNull() || !v.CanIterateElements() || v.LengthInt() == 0 {
		return nil
	}
	values := v.AsValueMap()
	width := 0
	for name := range values {
		if !hclsyntax.ValidIdentifier(name) {
			return nil
		}
		width = max(width, len(name))
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		texts := literals(values[name])
		if len(texts) == 0 {
			return nil
		}
		lines = append(lines, name+strings.Repeat(" ", width-len(name))+" = "+texts[0])
	}
	return []string{strings.Join(lines, "\n")}
}

// blockField is the field that step i of a path names, if job files write it as a
// block that can be made from nothing.
func blockField(p job.Path, i int) (job.Field, bool) {
	t := reflect.TypeFor[api.Job]()
	for n, s := range p {
		if t == nil {
			return job.Field{}, false
		}
		f, ok := job.FieldNamed(t, s.Name)
		if n == i {
			makeable := f.Type != nil && (f.Type.Kind() == reflect.Pointer || f.Type.Kind() == reflect.Map && elemStruct(f.Type) == nil)
			return f, ok && f.Kind == job.BlockField && makeable
		}
		if !ok || f.Kind != job.BlockField {
			return job.Field{}, false
		}
		t = elemStruct(f.Type)
	}
	return job.Field{}, false
}

// addAttribute writes NAME = text into a body, in its indentation and alignment.
func (s *splicer) addAttribute(b block, name, text string) []candidate {
	if !hclsyntax.ValidIdentifier(name) {
		return nil
	}
	open, closing := b.braces()
	anchor := s.lastAttribute(b.body)
	if s.oneLine(open, closing) {
		return []candidate{s.unfold(b, name+" = "+text)}
	}
	if anchor == nil {
		at := s.nextLine(open)
		line := s.indentIn(b, true) + name + " = " + text + s.eol
		if len(b.body.Blocks) > 0 && !blank(s.src[at:s.nextLine(at)]) {
			line += s.eol
		}
		return []candidate{{{at, at, line}}}
	}
	at := s.nextLine(s.contentEnd(anchor.SrcRange))
	indent := s.indentAt(anchor.SrcRange.Start.Byte)
	return []candidate{{{at, at, indent + name + s.sign(attributeSigns(b.body, anchor), len(indent)+len(name)) + text + s.eol}}}
}

// indentIn is the indentation of what stands in a block, taken from the first or
// the last that does.
func (s *splicer) indentIn(b block, first bool) string {
	open, _ := b.braces()
	var starts []int
	for _, attr := range b.body.Attributes {
		starts = append(starts, attr.SrcRange.Start.Byte)
	}
	for _, child := range b.body.Blocks {
		starts = append(starts, child.TypeRange.Start.Byte)
	}
	slices.Sort(starts)
	if len(starts) == 0 || s.oneLine(open, starts[0]) {
		indent := s.indentAt(open)
		return indent + s.unitIn(indent)
	}
	if first {
		return s.indentAt(starts[0])
	}
	return s.indentAt(starts[len(starts)-1])
}

// unitIn is one more level of indentation after that: tabs behind tabs.
func (s *splicer) unitIn(indent string) string {
	switch {
	case strings.HasSuffix(indent, "\t"):
		return "\t"
	case indent != "" && s.unit == "\t":
		return "  "
	}
	return s.unit
}

// lastAttribute is the last attribute before a body's first block, or nil.
func (s *splicer) lastAttribute(body *hclsyntax.Body) *hclsyntax.Attribute {
	var last *hclsyntax.Attribute
	for _, attr := range sortedAttributes(body) {
		if len(body.Blocks) == 0 || attr.SrcRange.Start.Byte < body.Blocks[0].TypeRange.Start.Byte {
			last = attr
		}
	}
	return last
}

func sortedAttributes(body *hclsyntax.Body) []*hclsyntax.Attribute {
	return slices.SortedFunc(maps.Values(body.Attributes), func(a, b *hclsyntax.Attribute) int {
		return cmp.Compare(a.SrcRange.Start.Byte, b.SrcRange.Start.Byte)
	})
}

// signed is where a NAME = VALUE stands.
type signed struct{ name, value hcl.Range }

// attributeSigns are a body's attributes up to one.
func attributeSigns(body *hclsyntax.Body, last *hclsyntax.Attribute) []signed {
	var out []signed
	for _, attr := range sortedAttributes(body) {
		if attr.SrcRange.Start.Byte <= last.SrcRange.Start.Byte {
			out = append(out, signed{attr.NameRange, attr.Expr.Range()})
		}
	}
	return out
}

func itemSigns(o *hclsyntax.ObjectConsExpr) []signed {
	var out []signed
	for _, item := range o.Items {
		out = append(out, signed{item.KeyExpr.Range(), item.ValueExpr.Range()})
	}
	return out
}

// sign is what goes between a name that ends at that column and its value, as the
// lines before have it: aligned with them where they are, or tight.
func (s *splicer) sign(before []signed, width int) string {
	last := before[len(before)-1]
	between := string(s.src[last.name.End.Byte:last.value.Start.Byte])
	i := max(strings.IndexAny(between, "=:"), 0)
	sign, pad := between[i:i+1], strings.Repeat(" ", max(s.column(before)-width, 1))
	if i == 0 {
		pad = ""
	}
	if len(between) > i+1 {
		sign += " "
	}
	return pad + sign
}

// column is where the = stands in the last lines, counted in bytes from the start
// of the line. Where they do not agree it is that of the last one if that is
// padded, else 0.
func (s *splicer) column(before []signed) int {
	last := before[len(before)-1]
	column, spaces := s.signColumn(last)
	line := last.name.Start.Line
	for _, b := range slices.Backward(before[:len(before)-1]) {
		if b.value.End.Line < line-1 || b.name.Start.Line != b.value.End.Line {
			break
		}
		if c, _ := s.signColumn(b); c != column && spaces < 2 {
			return 0
		}
		line = b.name.Start.Line
	}
	return column
}

// signColumn is the column of the = or the : and the number of spaces before it.
func (s *splicer) signColumn(b signed) (column, spaces int) {
	spaces = max(bytes.IndexAny(s.src[b.name.End.Byte:b.value.Start.Byte], "=:"), 0)
	return b.name.End.Byte + spaces - s.lineStart(b.name.Start.Byte), spaces
}

// nextLine is the start of the line after the one that at stands in.
func (s *splicer) nextLine(at int) int {
	i := bytes.IndexByte(s.src[at:], '\n')
	if i < 0 {
		return len(s.src)
	}
	return at + i + 1
}

// unfold writes a block on one line anew on several, with a further line (or more)
// in it.
func (s *splicer) unfold(b block, text string) candidate {
	open, closing := b.braces()
	indent := s.indentAt(open)
	lines := ""
	if inside := strings.TrimSpace(string(s.src[open:closing])); inside != "" {
		lines = s.eol + indent + s.unit + inside
	}
	lines += s.eol + indentLines(text, indent+s.unit, s.eol) + s.eol + indent
	return candidate{{open, closing, lines}}
}

// addBlock writes a new block into a body: env after the driver and the attributes
// with it, any other at the end.
func (s *splicer) addBlock(parent block, name, inside string) candidate {
	text := name + " {\n" + indentLines(inside, s.unit, "\n") + "\n}"
	open, closing := parent.braces()
	if s.oneLine(open, closing) {
		return s.unfold(parent, text)
	}
	at, indent := s.lineStart(closing), s.indentIn(parent, false)
	if driver := parent.body.Attributes["driver"]; driver != nil && name == "env" {
		at, indent = s.nextLine(s.contentEnd(attributesFrom(parent.body, driver))), s.indentAt(driver.SrcRange.Start.Byte)
	}
	text = indentLines(text, indent, s.eol) + s.eol
	if before := s.lineStart(at - 1); !blank(s.src[before:at]) && before > s.lineStart(open) {
		text = s.eol + text
	}
	if following := s.src[at:s.nextLine(at)]; !blank(following) && at < s.lineStart(closing) {
		text += s.eol
	}
	return candidate{{at, at, text}}
}

// attributesFrom is the last of the attributes that follow one with no block
// between.
func attributesFrom(body *hclsyntax.Body, first *hclsyntax.Attribute) hcl.Range {
	next := body.EndRange.Start.Byte
	for _, b := range slices.Backward(body.Blocks) {
		if b.TypeRange.Start.Byte > first.SrcRange.Start.Byte {
			next = b.TypeRange.Start.Byte
		}
	}
	last := first
	for _, attr := range sortedAttributes(body) {
		if attr.SrcRange.Start.Byte > first.SrcRange.Start.Byte && attr.SrcRange.Start.Byte < next {
			last = attr
		}
	}
	return last.SrcRange
}

// addItem writes a key into a map.
func (s *splicer) addItem(o *hclsyntax.ObjectConsExpr, key string, value cty.Value) []candidate {
	var out []candidate
	for _, text := range literals(value) {
		out = append(out, s.addItemText(o, key, text))
	}
	return out
}

func (s *splicer) addItemText(o *hclsyntax.ObjectConsExpr, key, text string) candidate {
	open, closing := o.OpenRange.End.Byte, o.SrcRange.End.Byte-1
	if len(o.Items) == 0 {
		return s.firstItem(open, closing, key, text)
	}
	last := o.Items[len(o.Items)-1]
	start, end := last.KeyExpr.Range().Start.Byte, s.contentEnd(last.ValueExpr.Range())
	sign := string(s.src[last.KeyExpr.Range().End.Byte:last.ValueExpr.Range().Start.Byte])
	if s.src[start] == '"' || !hclsyntax.ValidIdentifier(key) {
		key = quote(key)
	}
	comma := s.comma(end, closing)
	if s.oneLine(end, closing) || !blank(s.src[s.lineStart(start):start]) {
		return s.itemBehind(key, sign, text, end, comma)
	}
	at := s.nextLine(max(end, comma))
	indent := s.indentAt(start)
	item := indent + key + s.sign(itemSigns(o), len(indent)+len(key)) + text
	switch {
	case comma > end:
		return candidate{{at, at, item + "," + s.eol}}
	case s.hasCommas(o):
		return candidate{{end, end, ","}, {at, at, item + s.eol}}
	}
	return candidate{{at, at, item + s.eol}}
}

func (s *splicer) hasCommas(o *hclsyntax.ObjectConsExpr) bool {
	spans := objectSpans(o)
	return len(spans) > 1 && s.comma(spans[0].end, spans[1].start) > spans[0].end
}

// itemBehind writes an item on the line of the one before.
func (s *splicer) itemBehind(key, sign, text string, end, comma int) candidate {
	item := key + sign + text
	if comma > end {
		return candidate{{comma, comma, " " + item + ","}}
	}
	return candidate{{end, end, ", " + item}}
}

func (s *splicer) firstItem(open, closing int, key, text string) candidate {
	if !hclsyntax.ValidIdentifier(key) {
		key = quote(key)
	}
	item := key + " = " + text
	if s.oneLine(open, closing) {
		return candidate{{open, closing, " " + item + " "}}
	}
	at := s.nextLine(open)
	return candidate{{at, at, s.indentAt(open) + s.unit + item + s.eol}}
}

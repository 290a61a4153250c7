package jobspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// asText is a string, number or bool as text.
func asText(v cty.Value) (string, bool) {
	if v == cty.NilVal || v.IsNull() || !v.IsKnown() || !v.Type().IsPrimitiveType() {
		return "", false
	}
	v, err := convert.Convert(v, cty.String)
	if err != nil {
		return "", false
	}
	return v.AsString(), true
}

// difference is the part of from that must go, where it starts, and what must take
// its place.
func difference(from, to string) (start int, gone, by string) {
	for start < len(from) && start < len(to) && from[start] == to[start] {
		start++
	}
	for start > 0 && start < len(from) && !utf8.RuneStart(from[start]) {
		start--
	}
	endFrom, endTo := len(from), len(to)
	for endFrom > start && endTo > start && from[endFrom-1] == to[endTo-1] {
		endFrom--
		endTo--
	}
	for endFrom < len(from) && !utf8.RuneStart(from[endFrom]) {
		endFrom++
		endTo++
	}
	return start, from[start:endFrom], to[start:endTo]
}

// literals are the ways to write a value: with ${ } as it is, which job files use
// for what Nomad fills in, and with ${ } escaped.
func literals(v cty.Value) []string {
	raw, ok := literal(v, quote)
	if !ok {
		return nil
	}
	escaped, _ := literal(v, quoteEscaped)
	if raw == escaped {
		return []string{raw}
	}
	return []string{raw, escaped}
}

func literal(v cty.Value, quoted func(string) string) (string, bool) {
	if v == cty.NilVal || !v.IsKnown() {
		return "", false
	}
	if v.IsNull() {
		return "null", true
	}
	switch t := v.Type(); {
	case t == cty.String:
		return quoted(v.AsString()), true
	case t == cty.Number, t == cty.Bool:
		return asText(v)
	case t.IsObjectType() || t.IsMapType():
		return objectLiteral(v, quoted)
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		var elems []string
		for it := v.ElementIterator(); it.Next(); {
			_, ev := it.Element()
			e, ok := literal(ev, quoted)
			if !ok {
				return "", false
			}
			elems = append(elems, e)
		}
		return "[" + strings.Join(elems, ", ") + "]", true
	}
	return "", false
}

func objectLiteral(v cty.Value, quoted func(string) string) (string, bool) {
	values := v.AsValueMap()
	if len(values) == 0 {
		return "{}", true
	}
	var items []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		e, ok := literal(values[key], quoted)
		if !ok {
			return "", false
		}
		if !hclsyntax.ValidIdentifier(key) {
			key = quote(key)
		}
		items = append(items, key+" = "+e)
	}
	return "{ " + strings.Join(items, ", ") + " }", true
}

func quote(s string) string { return `"` + escape(s, false) + `"` }

func quoteEscaped(s string) string { return `"` + escape(s, true) + `"` }

// escape writes a text as it stands between quotes.
func escape(s string, templates bool) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			if templates && (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{") {
				b.WriteRune(r)
			}
			b.WriteRune(r)
		}
	}
	return b.String()
}

// run is a stretch of a template's text without interpolations: its value, and for
// each byte of it, and for its end, the byte in the source where it comes from.
type run struct {
	value string
	from  []int
}

// replace lists ways to replace a part of a template's text, where it occurs for
// the n-th time (from 0) first, and then everywhere.
func (s *splicer) replace(t *hclsyntax.TemplateExpr, old, by string, n int) []candidate {
	if old == "" && by == "" {
		return nil
	}
	var out []candidate
	found := s.occurrences(t, old)
	if n > 0 && n < len(found) {
		found = slices.Concat(found[n:n+1], found[:n], found[n+1:])
	}
	for _, at := range found[:min(maxCandidates, len(found))] {
		for _, text := range s.written(t, by, at.start) {
			out = append(out, candidate{{at.start, at.end, text}})
		}
	}
	return out
}

// occurrences are the bytes of the source where a part of a template's text stands.
func (s *splicer) occurrences(t *hclsyntax.TemplateExpr, part string) []span {
	var out []span
	for _, r := range s.runs(t) {
		for at := 0; at <= len(r.value); at += max(len(part), 1) {
			i := strings.Index(r.value[at:], part)
			if i < 0 {
				break
			}
			at += i
			out = append(out, span{r.from[at], r.from[at+len(part)]})
		}
	}
	return out
}

// change lists ways to make one text of another, at the place where they differ
// first, then at any that looks like it.
func (s *splicer) change(t *hclsyntax.TemplateExpr, from, to string) []candidate {
	start, gone, by := difference(from, to)
	before, after := from[:start], from[start+len(gone):]
	var out []candidate
	for _, r := range s.runs(t) {
		for i := range len(r.value) - len(gone) + 1 {
			if r.value[i:i+len(gone)] == gone && strings.HasSuffix(before, r.value[:i]) && strings.HasPrefix(after, r.value[i+len(gone):]) {
				out = append(out, s.replaceAt(t, r, i, len(gone), by)...)
			}
		}
	}
	return append(out, s.replace(t, gone, by, 0)...)
}

func (s *splicer) replaceAt(t *hclsyntax.TemplateExpr, r run, at, n int, by string) []candidate {
	var out []candidate
	start, end := r.from[at], r.from[at+n]
	for _, text := range s.written(t, by, start) {
		out = append(out, candidate{{start, end, text}})
	}
	return out
}

// written are the ways to write a text inside a template.
func (s *splicer) written(t *hclsyntax.TemplateExpr, text string, at int) []string {
	if !s.isHeredoc(t) {
		raw, escaped := escape(text, false), escape(text, true)
		if raw == escaped {
			return []string{raw}
		}
		return []string{raw, escaped}
	}
	ways := []string{text}
	if strings.Contains(text, "\n") {
		for _, indent := range []string{s.heredocIndent(t), s.indentAt(at)} {
			ways = append(ways, strings.ReplaceAll(text, "\n", "\n"+indent))
			if at > 0 && s.lineStart(at) == at { // the line that ends the heredoc
				ways = append(ways, indentLines(text, indent, "\n"))
			}
		}
	}
	if doubled := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(text); doubled != text {
		ways = append(ways, doubled)
	}
	return ways
}

// heredocIndent is the smallest indentation of a heredoc's lines, which <<- takes
// away.
func (s *splicer) heredocIndent(t *hclsyntax.TemplateExpr) string {
	least, found := "", false
	end := s.lineStart(s.contentEnd(t.Range()))
	for at := s.nextLine(t.Range().Start.Byte); at < end; at = s.nextLine(at) {
		indent := s.indentAt(at)
		if !blank(s.src[at:s.nextLine(at)]) && (!found || len(indent) < len(least)) {
			least, found = indent, true
		}
	}
	return least
}

// runs are the stretches of a template that the source says as they are.
func (s *splicer) runs(t *hclsyntax.TemplateExpr) []run {
	var out []run
	open := false
	for _, part := range t.Parts {
		r, ok := s.partRun(part, s.isHeredoc(t))
		switch {
		case !ok:
		case open:
			last := &out[len(out)-1]
			last.from = append(last.from[:len(last.value)], r.from...)
			last.value += r.value
		default:
			out = append(out, r)
		}
		open = ok
	}
	return out
}

func (s *splicer) partRun(part hclsyntax.Expression, heredoc bool) (run, bool) {
	if lit, ok := part.(*hclsyntax.LiteralValueExpr); ok && lit.Val.Type() == cty.String {
		return s.decode(lit, heredoc)
	}
	if !isKept(part) {
		return run{}, false
	}
	text := part.(*hclsyntax.ScopeTraversalExpr).Traversal.RootName()
	start := interpolationBefore(s.src, part.Range().Start.Byte)
	if start < 0 || !strings.HasPrefix(string(s.src[start:]), text) {
		return run{}, false
	}
	r := run{value: text}
	for i := range len(text) + 1 {
		r.from = append(r.from, start+i)
	}
	return r, true
}

// decode finds for each byte of a literal part where it stands in the source.
func (s *splicer) decode(lit *hclsyntax.LiteralValueExpr, heredoc bool) (run, bool) {
	start, end := lit.SrcRange.Start.Byte, lit.SrcRange.End.Byte
	var r run
	for i := start; i < end; {
		piece, n := s.piece(i, end, heredoc)
		for range len(piece) {
			r.from = append(r.from, i)
		}
		r.value += piece
		i += n
	}
	r.from = append(r.from, end)
	return r.unindented(lit.Val.AsString())
}

// unindented is the run without the indentation that <<- takes from each line.
func (r run) unindented(value string) (run, bool) {
	if r.value == value {
		return r, true
	}
	out := run{value: value}
	have, want := strings.SplitAfter(r.value, "\n"), strings.SplitAfter(value, "\n")
	if len(have) != len(want) {
		return run{}, false
	}
	at := 0
	for i, line := range have {
		if !strings.HasSuffix(line, want[i]) {
			return run{}, false
		}
		at += len(line)
		out.from = append(out.from, r.from[at-len(want[i]):at]...)
	}
	out.from = append(out.from, r.from[len(r.value)])
	return out, true
}

// piece decodes the next character or escape sequence.
func (s *splicer) piece(at, end int, heredoc bool) (string, int) {
	rest := string(s.src[at:end])
	for _, doubled := range []string{"$${", "%%{"} {
		if strings.HasPrefix(rest, doubled) {
			return doubled[1:], len(doubled)
		}
	}
	if rest[0] != '\\' || heredoc || len(rest) < 2 {
		_, n := utf8.DecodeRuneInString(rest)
		return rest[:n], n
	}
	switch rest[1] {
	case 'n':
		return "\n", 2
	case 'r':
		return "\r", 2
	case 't':
		return "\t", 2
	case 'u', 'U':
		n := map[byte]int{'u': 6, 'U': 10}[rest[1]]
		var r rune
		if len(rest) < n {
			return rest[:1], 1
		}
		fmt.Sscanf(rest[2:n], "%x", &r)
		return string(r), n
	}
	return rest[1:2], 2
}

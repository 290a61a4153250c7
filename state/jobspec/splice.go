package jobspec

import (
	"bytes"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// splice puts text where the bytes [start, end) are.
type splice struct {
	start, end int
	text       string
}

// candidate is a set of splices that might make an edit. They do not overlap.
type candidate []splice

func (c candidate) apply(src []byte) []byte {
	sorted := slices.SortedStableFunc(slices.Values(c), func(a, b splice) int { return a.start - b.start })
	var out []byte
	at := 0
	for _, s := range sorted {
		out = append(out, src[at:s.start]...)
		out = append(out, s.text...)
		at = s.end
	}
	return append(out, src[at:]...)
}

// splicer writes candidates in the style of the file around them.
type splicer struct {
	src  []byte
	eol  string
	unit string // one level of indentation
}

func newSplicer(src []byte) *splicer {
	s := &splicer{src: src, eol: "\n", unit: "  "}
	if bytes.Contains(src, []byte("\r\n")) {
		s.eol = "\r\n"
	}
	for _, line := range bytes.Split(src, []byte("\n")) {
		indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
		if len(indent) == 0 || len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if s.unit = string(indent); indent[0] == '\t' {
			s.unit = "\t"
		}
		break
	}
	return s
}

// edit lists ways to make an edit at a spot.
func (s *splicer) edit(sp spot, e job.Edit, old cty.Value) []candidate {
	switch {
	case sp.expr == nil:
		return s.addItem(sp.object, sp.key, e.Value)
	case e.Op == job.Remove && sp.tuple != nil:
		return []candidate{s.removeItem(tupleSpans(sp.tuple), sp.index, sp.tuple.OpenRange.End.Byte, sp.tuple.SrcRange.End.Byte-1)}
	case e.Op == job.Remove && sp.object != nil:
		return []candidate{s.removeItem(objectSpans(sp.object), sp.index, sp.object.OpenRange.End.Byte, sp.object.SrcRange.End.Byte-1)}
	case e.Op == job.Remove && sp.attr != nil:
		return []candidate{s.removeLines(sp.attr.SrcRange, sp.block)}
	case e.Op == job.Set:
		return s.set(sp, e.Value, old)
	case e.Op == job.Replace:
		return s.replaceIn(sp, e, old)
	}
	return nil
}

// replaceIn replaces a part of a text, where it stands or by writing the text
// anew.
func (s *splicer) replaceIn(sp spot, e job.Edit, old cty.Value) []candidate {
	from, _ := asText(old)
	by, ok := asText(e.Value)
	if !ok {
		return nil
	}
	var out []candidate
	if t, ok := sp.expr.(*hclsyntax.TemplateExpr); ok {
		out = s.replace(t, e.Old, by, nth(e, from))
	}
	if whole, ok := e.In(from); ok && isVerbatim(sp.expr) && !s.isHeredoc(sp.expr) {
		for _, text := range literals(cty.StringVal(whole)) {
			out = append(out, candidate{s.over(sp.expr, text)})
		}
	}
	return out
}

// nth counts the occurrences of what a Replace replaces before the one it means.
func nth(e job.Edit, in string) int {
	return strings.Count(in[:min(e.At, len(in))], e.Old)
}

// set replaces a whole literal. Of a text with parts that are no literals, or of a
// heredoc, what differs is replaced if it can be.
func (s *splicer) set(sp spot, value, old cty.Value) []candidate {
	var out []candidate
	t, isTemplate := sp.expr.(*hclsyntax.TemplateExpr)
	if isTemplate && (!isLiteral(t) || s.isHeredoc(t)) {
		from, okFrom := asText(old)
		to, okTo := asText(value)
		if okFrom && okTo {
			out = s.change(t, from, to)
		}
	}
	if !isVerbatim(sp.expr) && !isNegative(sp.expr) && !isConstructor(sp.expr) {
		return out
	}
	if text, ok := asText(value); ok && isTemplate {
		value = cty.StringVal(text) // memory = "256" stays a text
	}
	for _, text := range literals(value) {
		out = append(out, candidate{s.over(sp.expr, text)})
	}
	return out
}

// over replaces an expression. A heredoc ends with its line, which stays.
func (s *splicer) over(e hclsyntax.Expression, text string) splice {
	r := e.Range()
	end := r.End.Byte
	if s.isHeredoc(e) {
		for end > r.Start.Byte && (s.src[end-1] == '\n' || s.src[end-1] == '\r') {
			end--
		}
	}
	return splice{r.Start.Byte, end, text}
}

func isConstructor(e hclsyntax.Expression) bool {
	switch e.(type) {
	case *hclsyntax.TupleConsExpr, *hclsyntax.ObjectConsExpr:
		return true
	}
	return false
}

func (s *splicer) isHeredoc(e hclsyntax.Expression) bool {
	at := e.Range().Start.Byte
	_, ok := e.(*hclsyntax.TemplateExpr)
	return ok && bytes.HasPrefix(s.src[at:], []byte("<<"))
}

// span is the bytes of one element.
type span struct{ start, end int }

func tupleSpans(t *hclsyntax.TupleConsExpr) []span {
	var out []span
	for _, e := range t.Exprs {
		out = append(out, span{e.Range().Start.Byte, e.Range().End.Byte})
	}
	return out
}

func objectSpans(o *hclsyntax.ObjectConsExpr) []span {
	var out []span
	for _, item := range o.Items {
		out = append(out, span{item.KeyExpr.Range().Start.Byte, item.ValueExpr.Range().End.Byte})
	}
	return out
}

// removeItem takes one element out of a list or map whose brackets open before
// byte open and close at byte end.
func (s *splicer) removeItem(items []span, i, open, end int) candidate {
	own := items[i]
	next := end
	if i+1 < len(items) {
		next = items[i+1].start
	}
	after := s.comma(own.end, next)
	lineStart, lineEnd := s.lineStart(own.start), s.afterLine(after)
	first := i == 0 || s.newlineBetween(items[i-1].end, own.start) || items[i-1].end <= lineStart
	endsLine := lineEnd > 0 && lineEnd <= next
	switch {
	case blank(s.src[lineStart:own.start]) && endsLine:
		return candidate{{lineStart, lineEnd, ""}}
	case len(items) == 1 && blank(s.src[open:own.start]) && blank(s.src[after:end]):
		return candidate{{open, end, ""}}
	case endsLine && first:
		return candidate{{s.trimLeft(own.start), s.beforeEOL(lineEnd), ""}}
	case endsLine && (after > own.end || s.commentBetween(items[i-1].end, own.start)):
		return candidate{{s.trimLeft(own.start), after, ""}}
	case endsLine:
		return candidate{{items[i-1].end, own.end, ""}}
	case i+1 < len(items):
		if s.commentBetween(after, next) { // it is the next element's
			next = after + len(s.src[after:next]) - len(bytes.TrimLeft(s.src[after:next], " \t"))
		}
		return candidate{{own.start, next, ""}}
	case i > 0 && !first && !s.commentBetween(items[i-1].end, own.start):
		return candidate{{items[i-1].end, own.end, ""}}
	}
	return candidate{{own.start, after, ""}}
}

// comma is the byte after the comma between from and to, or from if there is none.
func (s *splicer) comma(from, to int) int {
	for _, t := range s.between(from, to) {
		if t.Type == hclsyntax.TokenComma {
			return t.Range.End.Byte
		}
	}
	return from
}

// between is the tokens from one byte to another; from is where a token may start,
// outside of strings.
func (s *splicer) between(from, to int) hclsyntax.Tokens {
	tokens, _ := hclsyntax.LexConfig(s.src[from:to], "", hcl.Pos{Line: 1, Column: 1, Byte: from})
	return tokens
}

func (s *splicer) commentBetween(from, to int) bool {
	return slices.ContainsFunc(s.between(from, to), func(t hclsyntax.Token) bool { return t.Type == hclsyntax.TokenComment })
}

func (s *splicer) newlineBetween(from, to int) bool {
	return bytes.IndexByte(s.src[from:to], '\n') >= 0
}

func (s *splicer) lineStart(at int) int {
	start := bytes.LastIndexByte(s.src[:at], '\n') + 1
	if start == 0 && bytes.HasPrefix(s.src, []byte("\uFEFF")) {
		return min(3, at)
	}
	return start
}

// afterLine is the start of the next line, if only a comment stands between at and
// the end of this one; else -1.
func (s *splicer) afterLine(at int) int {
	for _, t := range s.between(at, s.lineEnd(at)) {
		switch t.Type {
		case hclsyntax.TokenNewline:
			return t.Range.End.Byte
		case hclsyntax.TokenComment:
			if !bytes.ContainsRune(t.Bytes, '\n') {
				continue
			}
			if bytes.HasPrefix(t.Bytes, []byte("/*")) {
				return -1
			}
			return t.Range.End.Byte
		case hclsyntax.TokenEOF:
			return t.Range.End.Byte
		default:
			return -1
		}
	}
	return -1
}

// lineEnd is the byte after the line break that ends the line of at, or that in
// which a comment of several lines ends that starts there.
func (s *splicer) lineEnd(at int) int {
	n := bytes.IndexByte(s.src[at:], '\n') + 1
	if n == 0 || bytes.Contains(s.src[at:at+n], []byte("/*")) {
		return len(s.src)
	}
	return at + n
}

// beforeEOL is the end of the line that ends before byte at, its line break left
// out.
func (s *splicer) beforeEOL(at int) int {
	for at > 0 && (s.src[at-1] == '\n' || s.src[at-1] == '\r') {
		at--
		if s.src[at] == '\n' && at > 0 && s.src[at-1] != '\r' {
			break
		}
	}
	return at
}

func (s *splicer) trimLeft(at int) int {
	for at > 0 && (s.src[at-1] == ' ' || s.src[at-1] == '\t') {
		at--
	}
	return at
}

func blank(b []byte) bool { return len(bytes.TrimSpace(b)) == 0 }

// removeLines takes an attribute or a block out of the body that it stands in.
func (s *splicer) removeLines(r hcl.Range, parent block) candidate {
	start, end := r.Start.Byte, s.contentEnd(r)
	lineStart, lineEnd := s.lineStart(start), s.afterLine(end)
	open, closing := parent.braces()
	if blank(s.src[lineStart:start]) && lineEnd > 0 {
		return candidate{s.withoutGap(lineStart, lineEnd)}
	}
	if blank(s.src[open:start]) && blank(s.src[end:closing]) {
		return candidate{{open, closing, ""}}
	}
	return candidate{{start, end, ""}}
}

// contentEnd is the end of a range without the line break that a heredoc takes in.
func (s *splicer) contentEnd(r hcl.Range) int {
	end := r.End.Byte
	for end > r.Start.Byte && (s.src[end-1] == '\n' || s.src[end-1] == '\r') {
		end--
	}
	return end
}

func (s *splicer) indentAt(at int) string {
	line := s.src[s.lineStart(at):]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

func (s *splicer) oneLine(from, to int) bool { return !s.newlineBetween(from, to) }

// editBlock edits a block as a whole: it can only be removed.
func (s *splicer) editBlock(pl place, e job.Edit) []candidate {
	if e.Op != job.Remove || pl.block.made() || pl.block.Type == "job" {
		return nil
	}
	r := hcl.RangeBetween(pl.block.TypeRange, pl.block.CloseBraceRange)
	start, end := r.Start.Byte, r.End.Byte
	if next := s.afterLine(end); next > 0 && blank(s.src[s.lineStart(start):start]) {
		return []candidate{{s.withoutGap(s.lineStart(start), next)}}
	}
	return []candidate{{{start, end, ""}}}
}

// withoutGap takes whole lines out, and of the blank lines around them the one that
// would stand beside another, after an opening brace or before a closing one.
func (s *splicer) withoutGap(start, end int) splice {
	if start == 0 || end == len(s.src) {
		return splice{start, end, ""}
	}
	before, after := s.lineStart(start-1), s.nextLine(end)
	above, below := bytes.TrimSpace(s.src[before:start]), bytes.TrimSpace(s.src[end:after])
	switch {
	case len(below) == 0 && (len(above) == 0 || bytes.HasSuffix(above, []byte("{"))):
		return splice{start, after, ""}
	case len(above) == 0 && bytes.HasPrefix(below, []byte("}")):
		return splice{before, end, ""}
	}
	return splice{start, end, ""}
}

func indentLines(text, indent, eol string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = indent + l
		}
	}
	return strings.Join(lines, eol)
}

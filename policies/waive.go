package policies

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// Waiver is an exception that is to be written.
type Waiver struct {
	Jobs      []string // exact IDs
	Namespace string   // empty: whichever
	Rule      string   // its ID
	Reason    string
	Expires   time.Time
}

// Waivable reports whether an exception can waive a rule: what tells of exceptions
// that have ended cannot be waived by others.
func Waivable(rule string) bool { return rule != expiredRule }

// AddExceptions writes exception blocks at the end of the block of that type and
// name in src, in the style of what is there; every other byte stays. The block is
// that of a policy, or one that asks for a policy of the library.
func AddExceptions(src []byte, blockType, name string, waivers []Waiver) ([]byte, error) {
	for _, w := range waivers {
		if i := slices.IndexFunc(w.Jobs, func(id string) bool { return strings.ContainsAny(id, "*?") }); i >= 0 {
			return nil, fmt.Errorf("an exception for the job %q would be one for others too, since * and ? in it are globs; write it by hand; nothing was written", w.Jobs[i])
		}
	}
	file, diags := hclsyntax.ParseConfig(src, "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("reading the %s %q: %w", blockType, name, diags)
	}
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		return nil, fmt.Errorf("reading the %s %q: it is not HCL", blockType, name)
	}
	i := slices.IndexFunc(body.Blocks, func(b *hclsyntax.Block) bool {
		return b.Type == blockType && len(b.Labels) == 1 && b.Labels[0] == name
	})
	if i < 0 {
		return nil, fmt.Errorf("there is no %s %q", blockType, name)
	}
	return newEnd(src, body.Blocks[i]).with(waivers), nil
}

// end is the place before a block's closing brace, and the style there.
type end struct {
	src    []byte
	from   int    // what is between from and to is replaced
	to     int    // the closing brace
	inside string // what stands there and is kept
	outer  string // the indent of the block
	indent string // of what is in it
	eol    string
}

func newEnd(src []byte, b *hclsyntax.Block) end {
	e := end{src: src, to: b.CloseBraceRange.Start.Byte, eol: "\n"}
	if bytes.Contains(src, []byte("\r\n")) {
		e.eol = "\r\n"
	}
	e.outer = indentOf(src, b.TypeRange.Start.Byte)
	e.indent = e.outer + step(src)
	open := b.OpenBraceRange.End.Byte
	text := string(src[open:e.to])
	if !strings.Contains(text, "\n") { // in one line: it needs lines of its own
		e.from = open
		if inner := strings.TrimSpace(text); inner != "" {
			e.inside = e.indent + inner + e.eol
		}
		e.inside = e.eol + e.inside
		return e
	}
	if at := firstOwnLine(src, b.Body); at >= 0 {
		e.indent = indentOf(src, at)
	}
	kept := strings.TrimRight(text, " \t")
	e.from = open + len(kept)
	if !strings.HasSuffix(kept, "\n") { // a comment stands before the brace
		e.inside = e.eol
	}
	return e
}

// firstOwnLine is where the first attribute or block of a body begins, -1 for none.
func firstOwnLine(src []byte, body *hclsyntax.Body) int {
	at := -1
	note := func(r hcl.Range) {
		if at < 0 || r.Start.Byte < at {
			at = r.Start.Byte
		}
	}
	for _, a := range body.Attributes {
		note(a.NameRange)
	}
	for _, b := range body.Blocks {
		note(b.TypeRange)
	}
	return at
}

// indentOf is the blank beginning of the line that holds a byte.
func indentOf(src []byte, at int) string {
	line := src[bytes.LastIndexByte(src[:at], '\n')+1:]
	line = bytes.TrimPrefix(line, []byte("\ufeff"))
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// step is one indent more: as the file's first indented line has it.
func step(src []byte) string {
	for line := range bytes.Lines(src) {
		if text := bytes.TrimLeft(line, " \t"); len(text) < len(line) && len(bytes.TrimSpace(text)) > 0 {
			return string(line[:len(line)-len(text)])
		}
	}
	return "  "
}

func (e end) with(waivers []Waiver) []byte {
	var b strings.Builder
	b.Write(e.src[:e.from])
	b.WriteString(e.inside)
	before := b.String()
	if trimmed := strings.TrimRight(before, " \t\r\n"); !strings.HasSuffix(trimmed, "{") && strings.Count(before[len(trimmed):], "\n") < 2 {
		b.WriteString(e.eol)
	}
	inner := e.indent + strings.TrimPrefix(e.indent, e.outer)
	for i, w := range waivers {
		if i > 0 {
			b.WriteString(e.eol)
		}
		for _, line := range w.lines(inner, strings.TrimPrefix(inner, e.indent)) {
			b.WriteString(e.indent + line + e.eol)
		}
	}
	b.WriteString(e.outer)
	b.Write(e.src[e.to:])
	return []byte(b.String())
}

// longLine is how wide a list of jobs may be before each has a line of its own.
const longLine = 100

// lines are the block, but for its own indent.
func (w Waiver) lines(indent, step string) []string {
	jobs := make([]string, len(w.Jobs))
	for i, name := range w.Jobs {
		jobs[i] = quote(name)
	}
	pairs := [][2]string{{"job", "[" + strings.Join(jobs, ", ") + "]"}}
	out := []string{"exception {"}
	if len(indent)+len(pairs[0][1]) > longLine {
		out = append(out, step+"job = [")
		for _, name := range jobs {
			out = append(out, step+step+name+",")
		}
		out, pairs = append(out, step+"]"), nil
	}
	if w.Namespace != "" {
		pairs = append(pairs, [2]string{"namespace", "[" + quote(w.Namespace) + "]"})
	}
	pairs = append(pairs, [2]string{"rule", "[" + quote(w.Rule) + "]"}, [2]string{"reason", quote(w.Reason)},
		[2]string{"expires", quote(w.Expires.Format(time.DateOnly))})
	width := 0
	for _, p := range pairs {
		width = max(width, len(p[0]))
	}
	for _, p := range pairs {
		out = append(out, fmt.Sprintf("%s%-*s = %s", step, width, p[0], p[1]))
	}
	return append(out, "}")
}

// quote is a string as HCL writes it.
func quote(s string) string { return string(hclwrite.TokensForValue(cty.StringVal(s)).Bytes()) }

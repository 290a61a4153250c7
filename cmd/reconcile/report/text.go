package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/apparentlymart/go-textseg/v15/textseg"
	"golang.org/x/text/width"
)

// tabStop is how wide tabs are shown, so that what is pasted elsewhere keeps its
// columns.
const tabStop = 4

// isPlain: every byte is a grapheme, and takes a column.
func isPlain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// graphemes are what HCL counts as columns.
func graphemes(s string) []string {
	if isPlain(s) {
		return strings.Split(s, "")
	}
	out, err := textseg.AllTokens([]byte(s), textseg.ScanGraphemeClusters)
	if err != nil {
		return strings.Split(s, "")
	}
	parts := make([]string, len(out))
	for i, g := range out {
		parts[i] = string(g)
	}
	return parts
}

// cells is how many columns of a terminal s takes.
func cells(s string) int {
	if isPlain(s) {
		return len(s)
	}
	n := 0
	for _, g := range graphemes(s) {
		n += cellsOf(g)
	}
	return n
}

// cellsOf a grapheme: two for wide ones, none for a lone combining mark.
func cellsOf(g string) int {
	n := 0
	for _, r := range g {
		switch kind := width.LookupRune(r).Kind(); {
		case kind == width.EastAsianWide, kind == width.EastAsianFullwidth, r == 0xfe0f:
			n = 2
		case !unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc):
			n = max(n, 1)
		}
	}
	return n
}

// expand replaces tabs by spaces up to the next stop.
func expand(s string) string {
	if !strings.Contains(s, "\t") {
		return s
	}
	var b strings.Builder
	column := 0
	for _, g := range graphemes(s) {
		if g == "\t" {
			g = strings.Repeat(" ", tabStop-column%tabStop)
		}
		b.WriteString(g)
		column += cells(g)
	}
	return b.String()
}

// printable shows control characters, which could otherwise steer a terminal,
// and marks that turn the direction of writing. Tabs and line ends stay.
func printable(s string) string {
	if !strings.ContainsFunc(s, unsafe) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		if unsafe(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unsafe(r rune) bool {
	switch {
	case r == '\t', r == '\n':
		return false
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029:
		return true
	}
	return unicode.IsControl(r)
}

// clean is a sentence in one line, without secrets and control characters; the
// names in it are no secrets.
func clean(s string, names ...string) string {
	return printable(redactProse(strings.Join(strings.Fields(s), " "), names...))
}

// clip cuts s to n columns (0: it stays) and marks the cut.
func clip(s string, n int) string {
	if n <= 0 || cells(s) <= n {
		return s
	}
	const mark = "..."
	var b strings.Builder
	have := len(mark)
	for _, g := range graphemes(s) {
		if have += cellsOf(g); have > n {
			break
		}
		b.WriteString(g)
	}
	return b.String() + mark
}

// wrap breaks s into lines of at most n columns (0: one line), at spaces and
// between wide characters. What cannot be broken is too long then.
func wrap(s string, n int) []string {
	if n <= 0 || cells(s) <= n {
		return []string{s}
	}
	var lines []string
	var line string
	for _, w := range words(s) {
		if cells(strings.TrimRight(line+w, " ")) > n && line != "" {
			lines = append(lines, strings.TrimRight(line, " "))
			line = ""
		}
		line += w
	}
	if line = strings.TrimRight(line, " "); line != "" {
		lines = append(lines, line)
	}
	return lines
}

// words are the pieces between which a line may end, with the spaces after them.
// Closing marks of CJK text stay with what is before them.
func words(s string) []string {
	var out []string
	var word string
	for _, g := range graphemes(s) {
		wide := cellsOf(g) == 2
		if word != "" && (strings.HasSuffix(word, " ") && g != " " || wide && !strings.Contains("，。、；：？！）】》」』", g)) {
			out, word = append(out, word), ""
		}
		word += g
	}
	return append(out, word)
}

// count is "1 job", "2 jobs".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

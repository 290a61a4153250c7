package report

import (
	"regexp"
	"strings"

	"nomad-reconcile/state/job"
)

const secretValue = `(\[[^\]]*\]|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&"']+)`

// What job.RedactText does not see: it knows neither the HCL around a text nor
// what stands on other lines.
var (
	// KEY = "value", KEY: value, "KEY" = ["value", ...]
	pair = regexp.MustCompile(`([\w.-]+)(["']?\s*[=:]\s*)` + secretValue)
	// In prose a colon is punctuation as a rule.
	prosePair = regexp.MustCompile(`([\w.-]+)(["']?\s*=\s*)` + secretValue)
	filePlace = `[\w./@-]+\.(?:hcl|nomad|job)(?::\d+){0,2}:?`
	// "--token", "value"
	flagElement = regexp.MustCompile(`(["']--?)([\w-]+)(["']\s*,\s*)("(?:[^"\\-](?:[^"\\]|\\.)*)?"|'[^'-][^']*')`)
	flagAtEnd   = regexp.MustCompile(`["']--?([\w-]+)["']\s*,?\s*$`)
	element     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|'[^']*'`)
	flag        = regexp.MustCompile(`^--?([\w-]+)$`)

	bearer = regexp.MustCompile(`(?i)\b(bearer|basic)(\s+)[\w.~+/=-]{6,}`)
	shapes = regexp.MustCompile(`\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|hv[sb]\.[\w-]{20,}|xox[abeprs]-[\w-]{10,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)`)

	keyBegins   = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`)
	keyEnds     = regexp.MustCompile(`-----END [A-Z ]*PRIVATE KEY`)
	base64Line  = regexp.MustCompile(`^\s*[A-Za-z0-9+/]{40,}={0,2}\s*$`)
	opensSecret = regexp.MustCompile(`([\w.-]+)"?\s*=\s*(?:<<-?\s*(\w+)|(\[))\s*$`)
)

// secretName: flags and headers are written with dashes.
func secretName(name string) bool { return job.IsSecretName(strings.ReplaceAll(name, "-", "_")) }

// redactProse hides secrets in a sentence. Places of files and the names that
// are given are not taken for secrets, be a job called `token` or not.
func redactProse(s string, names ...string) string {
	known := filePlace
	for _, name := range names {
		if name != "" {
			known += "|" + regexp.QuoteMeta(name) + ":"
		}
	}
	var b strings.Builder
	from := 0
	for _, at := range regexp.MustCompile(known).FindAllStringIndex(s, -1) {
		b.WriteString(redact(s[from:at[0]], prosePair))
		b.WriteString(s[at[0]:at[1]])
		from = at[1]
	}
	return b.String() + redact(s[from:], prosePair)
}

// redactLine hides the secrets that one line of code or of a log shows by itself.
func redactLine(s string) string { return redact(s, pair) }

func redact(s string, pair *regexp.Regexp) string {
	s = flagElement.ReplaceAllStringFunc(s, func(m string) string {
		part := flagElement.FindStringSubmatch(m)
		if !secretName(part[2]) {
			return m
		}
		return part[1] + part[2] + part[3] + `"` + job.Redacted + `"`
	})
	s = pair.ReplaceAllStringFunc(s, func(m string) string {
		part := pair.FindStringSubmatch(m)
		if !secretName(part[1]) || strings.HasPrefix(part[3], "<<") || part[3] == "[" {
			return m
		}
		return part[1] + part[2] + job.Redacted
	})
	s = bearer.ReplaceAllString(s, "${1}${2}"+job.Redacted)
	s = shapes.ReplaceAllString(s, job.Redacted)
	return job.RedactText(s)
}

// secretLines hides secrets in the lines of one document, one after the other:
// also those that a line before them gives away.
type secretLines struct {
	until  func(line string) bool // inside something secret, up to the line that ends it
	opaque bool                   // all of its lines are secret, not only their strings
	after  bool                   // the line before ended with a flag that takes a secret
}

func (l *secretLines) redact(line string) string {
	if l.until != nil {
		return l.inside(line)
	}
	out := redactLine(line)
	if l.after {
		out = hideFirst(out)
	}
	l.after = false
	if m := flagAtEnd.FindStringSubmatch(line); m != nil {
		l.after = secretName(m[1])
	}
	if base64Line.MatchString(line) {
		return hideAll(line)
	}
	l.open(line)
	return out
}

func (l *secretLines) open(line string) {
	if keyBegins.MatchString(line) && !keyEnds.MatchString(line) {
		l.until, l.opaque = keyEnds.MatchString, true
		return
	}
	m := opensSecret.FindStringSubmatch(line)
	if m == nil || !secretName(m[1]) {
		return
	}
	end := m[2]
	if m[3] != "" {
		end = "]"
	}
	l.until = func(line string) bool { return strings.TrimRight(strings.TrimSpace(line), ",") == end }
	l.opaque = m[2] != ""
}

func (l *secretLines) inside(line string) string {
	if l.until(line) {
		l.until = nil
		return line
	}
	if l.opaque {
		return hideAll(line)
	}
	return element.ReplaceAllString(line, `"`+job.Redacted+`"`)
}

func hideAll(line string) string {
	text := strings.TrimLeft(line, " \t")
	if text == "" {
		return line
	}
	return line[:len(line)-len(text)] + job.Redacted
}

func hideFirst(line string) string {
	at := element.FindStringIndex(line)
	if at == nil {
		return line
	}
	return line[:at[0]] + `"` + job.Redacted + `"` + line[at[1]:]
}

// redactText hides the secrets of a text of several lines.
func redactText(s string) string {
	var l secretLines
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = l.redact(lines[i])
	}
	return strings.Join(lines, "\n")
}

// redactDiff hides the secrets in a unified diff. Old and new text are read as
// the two documents that they are.
func redactDiff(diff string) string {
	var before, after secretLines
	lines := strings.Split(diff, "\n")
	for i, line := range lines {
		if line == "" || strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "+++ ") {
			continue
		}
		mark, text := line[:1], line[1:]
		switch mark {
		case "@":
			before, after = secretLines{}, secretLines{}
			continue
		case "-":
			text = before.redact(text)
		case "+":
			text = after.redact(text)
		case " ":
			old, now := before.redact(text), after.redact(text)
			if text = now; now == line[1:] {
				text = old
			}
		}
		lines[i] = mark + text
	}
	return strings.Join(lines, "\n")
}

// redactValue hides the secrets of a value, as job.GoValue gives it, at a path.
func redactValue(p job.Path, v any) any {
	if v != nil && job.IsSecretPath(p) {
		return job.Redacted
	}
	return redactAny(v)
}

func redactAny(v any) any {
	switch v := v.(type) {
	case string:
		return redactText(v)
	case []any:
		return redactList(v)
	case []map[string]any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = redactAny(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = redactValue(job.Path{}.Attr(key), value)
		}
		return out
	}
	return v
}

// redactList also hides the element after a flag such as --token.
func redactList(list []any) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = redactAny(list[i])
		if i == 0 {
			continue
		}
		before, _ := list[i-1].(string)
		if m := flag.FindStringSubmatch(before); m != nil && secretName(m[1]) {
			out[i] = job.Redacted
		}
	}
	return out
}

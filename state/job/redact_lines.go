package job

import (
	"regexp"
	"slices"
	"strings"
)

const placeText = `[\w./@-]+\.(?:hcl|nomad|job)(?::\d+){0,2}:?`

var (
	place     = lazily(placeText)
	codePlace = lazily(`[\w./@-]+\.(?:hcl|nomad|job)(?::\d+){2}:?`)

	// KEY = "value", KEY: value, "KEY" = ["value", ...]
	pair = lazily(`([\w.-]+)(["']?\s*[=:]\s*)(\[[^\]]*\]|"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&"']+)`)
	// --token value
	flagText = lazily(`(--?)([\w-]+)(\s+)([^\s-][^\s"']*)`)
	// "--token", "value"
	flagElement = lazily(`(["']--?)([\w-]+)(["']\s*,\s*)("(?:[^"\\-](?:[^"\\]|\\.)*)?"|'[^'-][^']*')`)
	flagAtEnd   = lazily(`["']--?([\w-]+)["']\s*,?\s*$`)
	element     = lazily(`"(?:[^"\\]|\\.)*"|'[^']*'`)

	urlPassword = lazily(`(?i)([a-z][a-z0-9+.-]*://[^\s/:@"']*:)[^\s/"']+(@)`)
	header      = lazily(`(?i)(authorization["']?\s*[:=]\s*["']?(?:bearer|basic|digest|token)\s+)[^\s"',]+`)
	bearer      = lazily(`(?i)(\b(?:bearer|basic)\s+)([\w.~+/=-]{6,})`)
	word        = lazily(`^[a-z]+\.?$`)
	shapes      = lazily(`\b(?:A(?:KIA|SIA)[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|hv[sbr]\.[\w-]{20,}|` +
		`xox[abeprs]-[\w-]{10,}|sk[-_](?:[a-z]+[-_])*\w{20,}|AIza[\w-]{35}|npm_\w{30,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+)`)

	// One of these is part of whatever shapes matches.
	shapeParts = []string{"AKIA", "ASIA", "gh", "glpat-", "hv", "xox", "sk-", "sk_", "AIza", "npm_", "eyJ"}

	keyInline   = lazily(`(-----BEGIN [A-Z ]*PRIVATE KEY[A-Z ]*-----)[^-]*\w[^-]*`)
	keyBegins   = lazily(`-----BEGIN [A-Z ]*PRIVATE KEY`)
	keyEnds     = lazily(`-----END [A-Z ]*PRIVATE KEY`)
	base64Line  = lazily(`^\s*[A-Za-z0-9+][A-Za-z0-9+/]{39,}={0,2}\s*$`)
	opensSecret = lazily(`([\w.-]+)"?\s*=\s*(?:<<-?\s*(\w+)|(\[))\s*$`)
)

func placeOr(names []string) *regexp.Regexp {
	known := placeText
	for _, name := range names {
		if name != "" {
			known += "|" + regexp.QuoteMeta(name) + ":"
		}
	}
	return regexp.MustCompile(known)
}

func redactCodeLine(line string) string {
	if len(line) >= 40 && base64Line().MatchString(line) {
		return hideAll(line)
	}
	return redactLine(line, whereIn(line, codePlace), false)
}

// whereIn is the pattern for places of files, nil where text names none.
func whereIn(text string, places func() *regexp.Regexp) *regexp.Regexp {
	if strings.Contains(text, ".hcl") || strings.Contains(text, ".nomad") || strings.Contains(text, ".job") {
		return places()
	}
	return nil
}

// redactLine hides the secrets that one line shows by itself, but in what is
// known to be none (nil: nothing is). URLs go first: what stands after a password in one may look
// like the place of a file.
func redactLine(line string, known *regexp.Regexp, prose bool) string {
	if strings.Contains(line, "://") {
		line = urlPassword().ReplaceAllString(line, "${1}"+Redacted+"${2}")
	}
	if known == nil {
		return redactPart(line, prose)
	}
	var b strings.Builder
	from := 0
	for _, at := range known.FindAllStringIndex(line, -1) {
		b.WriteString(redactPart(line[from:at[0]], prose))
		b.WriteString(line[at[0]:at[1]])
		from = at[1]
	}
	return b.String() + redactPart(line[from:], prose)
}

// redactPart asks each pattern only where what it cannot do without is there: most
// lines hold nothing of the kind.
func redactPart(s string, prose bool) string {
	if quotesFlag(s) {
		s = replace(flagElement(), s, func(part []string) string {
			if !IsSecretName(part[2]) {
				return part[0]
			}
			return part[1] + part[2] + part[3] + `"` + Redacted + `"`
		})
	}
	if strings.ContainsAny(s, "=:") {
		s = redactPairs(s, prose)
	}
	if strings.Contains(s, "-") {
		s = replace(flagText(), s, func(part []string) string {
			if !IsSecretName(part[2]) {
				return part[0]
			}
			return part[1] + part[2] + part[3] + Redacted
		})
	}
	if strings.ContainsAny(s, "=:") {
		s = header().ReplaceAllString(s, "${1}"+Redacted)
	}
	return redactTokens(s)
}

func quotesFlag(s string) bool { return strings.Contains(s, `"-`) || strings.Contains(s, "'-") }

// redactTokens hides what is a secret by its own looks.
func redactTokens(s string) string {
	if lower := strings.ToLower(s); strings.Contains(lower, "bearer") || strings.Contains(lower, "basic") {
		s = replace(bearer(), s, func(part []string) string {
			if word().MatchString(part[2]) { // "basic authentication"
				return part[0]
			}
			return part[1] + Redacted
		})
	}
	if strings.Contains(s, "-----BEGIN") {
		s = keyInline().ReplaceAllString(s, "${1}"+Redacted)
	}
	if slices.ContainsFunc(shapeParts, func(part string) bool { return strings.Contains(s, part) }) {
		s = shapes().ReplaceAllString(s, Redacted)
	}
	return s
}

// redactPairs looks for pairs within the values of harmless ones, too.
func redactPairs(s string, prose bool) string {
	var b strings.Builder
	for {
		at := pair().FindStringSubmatchIndex(s)
		if at == nil {
			return b.String() + s
		}
		value, end := at[6], at[1]
		b.WriteString(s[:value])
		if isPair(s[at[2]:at[3]], s[at[4]:at[5]], s[value:end], prose) {
			b.WriteString(Redacted)
			value = end
		}
		s = s[value:]
	}
}

// harmless are what stands for a value, and is none that could be secret.
var harmless = map[string]bool{"": true, "VALUE": true, "null": true, "true": true, "false": true}

// isPair: what opens a list is no value. In prose a colon is punctuation as a
// rule.
func isPair(name, sign, value string, prose bool) bool {
	if value == "[" || harmless[strings.Trim(value, "`\"'.)")] || !IsSecretName(name) {
		return false
	}
	return !prose || !strings.Contains(sign, ":") || strongName().MatchString(snake(name))
}

func replace(re *regexp.Regexp, s string, by func(part []string) string) string {
	return re.ReplaceAllStringFunc(s, func(m string) string { return by(re.FindStringSubmatch(m)) })
}

// document hides secrets in the lines of one text, one after the other: also
// those that a line before them gives away.
type document struct {
	one    func(line string) string // hides what a line shows by itself
	until  func(line string) bool   // inside something secret, up to the line that ends it
	opaque bool                     // all of its lines are secret, not only their strings
	after  bool                     // the line before ended with a flag that takes a secret
}

func eachLine(s string, one func(line string) string) string {
	d := document{one: one}
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = d.redact(lines[i])
	}
	return strings.Join(lines, "\n")
}

func (d *document) redact(line string) string {
	if d.until != nil {
		return d.inside(line)
	}
	out := d.one(line)
	if d.after {
		out = hideFirst(out)
	}
	d.after = false
	if quotesFlag(line) {
		if m := flagAtEnd().FindStringSubmatch(line); m != nil {
			d.after = IsSecretName(m[1])
		}
	}
	d.open(line)
	return out
}

func (d *document) open(line string) {
	if strings.Contains(line, "-----BEGIN") && keyBegins().MatchString(line) && !keyEnds().MatchString(line) {
		d.until, d.opaque = keyEnds().MatchString, true
		return
	}
	if !strings.Contains(line, "=") {
		return
	}
	m := opensSecret().FindStringSubmatch(line)
	if m == nil || !IsSecretName(m[1]) {
		return
	}
	end := m[2]
	if m[3] != "" {
		end = "]"
	}
	d.until = func(line string) bool { return strings.TrimRight(strings.TrimSpace(line), ",") == end }
	d.opaque = m[2] != ""
}

func (d *document) inside(line string) string {
	if d.until(line) {
		d.until = nil
		return line
	}
	if d.opaque {
		return hideAll(line)
	}
	return element().ReplaceAllString(line, `"`+Redacted+`"`)
}

func hideAll(line string) string {
	text := strings.TrimLeft(line, " \t")
	if text == "" {
		return line
	}
	return line[:len(line)-len(text)] + Redacted
}

func hideFirst(line string) string {
	at := element().FindStringIndex(line)
	if at == nil {
		return line
	}
	return line[:at[0]] + `"` + Redacted + `"` + line[at[1]:]
}

// RedactDiff hides the secrets in a unified diff. Old and new text are read as
// the two documents that they are.
func RedactDiff(diff string) string {
	var before, after document
	hunk := false
	lines := strings.Split(diff, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "@@") {
			hunk, before, after = true, document{one: redactCodeLine}, document{one: redactCodeLine}
			continue
		}
		if !hunk || line == "" {
			continue
		}
		mark, text := line[:1], line[1:]
		switch mark {
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

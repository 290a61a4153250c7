package job

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Redacted stands in every output where a secret would.
const Redacted = "(redacted)"

var (
	secretName = lazily(`(?i)(^|[^a-z])(pass((word|wd|phrase)s?)?|secret|token|api_?key|access_?key|private_?key|secret_?key|credentials?|auth)([^a-z]|$)|` +
		`(password|passwd|passphrase|secret|token|apikey|accesskey|privatekey|secretkey)$`)
	strongName = lazily(`(?i)password|passwd|passphrase|secret|token|(api|access|private)_?key|credential`)
	hump       = lazily(`([a-z0-9])([A-Z])`)
)

// IsSecretName reports whether values under that key, flag or header are to be
// hidden.
func IsSecretName(name string) bool { return secretName().MatchString(snake(name)) }

// snake: flags and headers are written with dashes, JSON keys with humps.
func snake(name string) string {
	return hump().ReplaceAllString(strings.ReplaceAll(name, "-", "_"), "${1}_${2}")
}

// IsSecretPath reports whether any step of the path names a secret.
func IsSecretPath(p Path) bool {
	for _, s := range p {
		if IsSecretName(s.Name) {
			return true
		}
	}
	return false
}

// RedactText hides what looks like a secret in a message. Places of files and
// the names that are given are not taken for secrets, be a job called `token`
// or not.
func RedactText(s string, names ...string) string {
	known := whereIn(s, place)
	if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(s, name+":") }) {
		known = placeOr(names)
	}
	return eachLine(s, func(line string) string { return redactLine(line, known, true) })
}

// RedactCode hides what looks like a secret in lines of code, of a
// configuration or of a log, where every colon may stand before a value.
func RedactCode(s string) string {
	return eachLine(s, redactCodeLine)
}

// RedactValue hides the secrets of a value, as GoValue gives it, at a path.
// Lists of maps become lists of values.
func RedactValue(p Path, v any) any {
	if v != nil && IsSecretPath(p) {
		return Redacted
	}
	return redactAny(v)
}

func redactAny(v any) any {
	switch v := v.(type) {
	case string:
		return RedactCode(v)
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
			out[key] = RedactValue(Path{}.Attr(key), value)
		}
		return out
	}
	return v
}

var flagAlone = lazily(`^--?([\w-]+)$`)

// redactList also hides the element after a flag such as --token.
func redactList(list []any) []any {
	out := make([]any, len(list))
	for i := range list {
		out[i] = redactAny(list[i])
		if i == 0 {
			continue
		}
		before, _ := list[i-1].(string)
		if m := flagAlone().FindStringSubmatch(before); m != nil && IsSecretName(m[1]) {
			out[i] = Redacted
		}
	}
	return out
}

// lazily compiles a pattern when it is first used: most processes print no secret.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

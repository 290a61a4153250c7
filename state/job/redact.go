package job

import (
	"regexp"
)

// Redacted stands in every output where a secret would.
const Redacted = "(redacted)"

var (
	secretName = regexp.MustCompile(`(?i)(^|[^a-z])(pass(word|wd|phrase)?|secret|token|api_?key|access_?key|private_?key|credentials?|auth)([^a-z]|$)|(?i)(secret|password|token|apikey|privatekey)$`)
	// A secret inside a longer text: NAME=VALUE, --name VALUE, user:password@ in a URL.
	secretPair = regexp.MustCompile(`(?i)([\w.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential)[\w.-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&"']+)`)
	secretFlag = regexp.MustCompile(`(?i)(--?[\w-]*(?:password|passwd|secret|token|api-?key|access-?key|private-?key)[\w-]*\s+)([^\s-]\S*)`)
	secretURL  = regexp.MustCompile(`([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(@)`)
)

// IsSecretName reports whether values under that key are to be hidden.
func IsSecretName(name string) bool { return secretName.MatchString(name) }

// IsSecretPath reports whether any step of the path names a secret.
func IsSecretPath(p Path) bool {
	for _, s := range p {
		if IsSecretName(s.Name) {
			return true
		}
	}
	return false
}

// RedactText hides what looks like a secret within a text.
func RedactText(s string) string {
	s = secretURL.ReplaceAllString(s, "${1}"+Redacted+"${2}")
	s = secretPair.ReplaceAllString(s, "${1}"+Redacted)
	return secretFlag.ReplaceAllString(s, "${1}"+Redacted)
}

package policies

import "unicode/utf8"

// globMatch reports whether pattern matches all of s: `*` stands for any text,
// `/` included (job IDs hold it), `?` for one character, everything else for itself.
func globMatch(pattern, s string) bool {
	star, retry := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, retry = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			_, size := utf8.DecodeRuneInString(s[i:])
			p++
			i += size
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0: // let the last star take one byte more
			retry++
			p, i = star+1, retry
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// Glob reports whether one of the patterns matches all of s, as in match blocks.
func Glob(patterns []string, s string) bool {
	_, ok := anyGlob(patterns, s)
	return ok
}

// anyGlob is the first of the patterns that matches s.
func anyGlob(patterns []string, s string) (string, bool) {
	for _, p := range patterns {
		if globMatch(p, s) {
			return p, true
		}
	}
	return "", false
}

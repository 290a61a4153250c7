package sudo

import "strings"

// interpolations are Nomad's ${...} in a string of a job: a name with dots, or a
// variable. What a shell has more to say in braces is left to the shell.
func interpolations(s string) []mask {
	var out []mask
	for at := 0; ; {
		i := strings.Index(s[at:], "${")
		if i < 0 {
			return out
		}
		start := at + i
		end := start + 2
		for end < len(s) && inName(s[end]) {
			end++
		}
		at = end
		if end > start+2 && end < len(s) && s[end] == '}' {
			out = append(out, mask{span: span{start, end + 1}})
			at = end + 1
		}
	}
}

func inName(c byte) bool {
	return c == '_' || c == '.' || c == '-' || c == '/' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// actions are the actions of a template. One that has its line to itself and only
// steers what is rendered leaves a blank line behind; any other may become anything.
func actions(s, left, right string) []mask {
	var out []mask
	for at := 0; ; {
		i := strings.Index(s[at:], left)
		if i < 0 {
			return out
		}
		start := at + i
		end := actionEnd(s, start+len(left), right)
		if end < 0 {
			return out
		}
		body := strings.TrimLeft(s[start+len(left):end-len(right)], "- \t\r\n")
		out = append(out, mask{span: span{start, end}, blank: steers(body) && aloneOnLine(s, start, end)})
		at = end
	}
}

// actionEnd is the byte after the action's end, strings in it left out of account.
func actionEnd(s string, at int, right string) int {
	if body := strings.TrimLeft(s[at:], "- \t\r\n"); strings.HasPrefix(body, "/*") {
		closing := strings.Index(s[at:], "*/")
		if closing < 0 {
			return -1
		}
		at += closing
	}
	for at < len(s) {
		switch c := s[at]; {
		case strings.HasPrefix(s[at:], right):
			return at + len(right)
		case c == '"' || c == '`':
			closing := at + 1
			for closing < len(s) && s[closing] != c {
				if s[closing] == '\\' && c == '"' {
					closing++
				}
				closing++
			}
			at = closing + 1
		default:
			at++
		}
	}
	return -1
}

// steers: the action itself renders nothing.
func steers(body string) bool {
	if strings.HasPrefix(body, "/*") {
		return true
	}
	word, _, _ := strings.Cut(body, " ")
	switch strings.TrimRight(word, "-\t\r\n") {
	case "if", "else", "end", "range", "with", "define", "block", "break", "continue":
		return true
	}
	return strings.HasPrefix(word, "$") && strings.Contains(body, "=")
}

func aloneOnLine(s string, start, end int) bool {
	before := s[strings.LastIndexByte(s[:start], '\n')+1 : start]
	after, _, _ := strings.Cut(s[end:], "\n")
	return strings.TrimSpace(before) == "" && strings.TrimSpace(after) == ""
}

package jobspec

import "strings"

// Name is the label of a job file's job block, or the ID in JSON, empty where none
// can be made out. It works on files that do not parse, so that a broken file still
// counts as that job's.
func Name(src []byte) string {
	if looksJSON(src) {
		return jsonName(src)
	}
	m := jobHeader.FindSubmatch(trimBOM(src))
	if m == nil {
		return ""
	}
	return strings.Trim(string(m[1]), `"`)
}

package jobspec

import (
	"bytes"
	"strings"
)

// Name is the label of a job file's job block, empty where none can be made
// out. It works on files that do not parse, so that a broken file still counts
// as that job's.
func Name(src []byte) string {
	m := jobHeader.FindSubmatch(bytes.TrimPrefix(src, []byte("\uFEFF")))
	if m == nil {
		return ""
	}
	return strings.Trim(string(m[1]), `"`)
}

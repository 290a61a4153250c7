package reconcile

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/aymanbagabas/go-udiff"
)

// hunkHeader is "@@ -from,lines +to,lines @@"; a single line leaves its count out.
var hunkHeader = regexp.MustCompile(`(?m)^@@ -(\d+)(,\d+)? \+(\d+)(,\d+)? @@$`)

// Unified is a unified diff of two texts that tools can apply.
func Unified(from, to string, before, after []byte) string {
	return renumbered(udiff.Unified(from, to, string(before), string(after)))
}

// unified is the diff of a file, named as git does.
func unified(name string, before, after []byte) string {
	return Unified("a/"+name, "b/"+name, before, after)
}

// renumbered corrects where hunks begin in the new text: the library forgets the
// lines between two edits of one hunk, and git goes by that number.
func renumbered(diff string) string {
	shift := 0
	return hunkHeader.ReplaceAllStringFunc(diff, func(header string) string {
		m := hunkHeader.FindStringSubmatch(header)
		from, _ := strconv.Atoi(m[1])
		old, now := lines(m[2]), lines(m[4])
		to := from + shift
		switch { // a side without lines is numbered by the line before it
		case old == 0 && now > 0:
			to++
		case old > 0 && now == 0:
			to--
		}
		shift += now - old
		return fmt.Sprintf("@@ -%s%s +%d%s @@", m[1], m[2], to, m[4])
	})
}

func lines(count string) int {
	if count == "" {
		return 1
	}
	n, _ := strconv.Atoi(count[1:])
	return n
}

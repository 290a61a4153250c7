package report

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode"

	"nomad-reconcile/reconcile"
)

// Patch writes what -fix would change as one unified diff. Without colour it is a
// patch that `patch -p1` and `git apply` take, byte for byte, secrets and all; with
// colour it is for reading, and as all that is shown without secrets.
func Patch(w io.Writer, plans []reconcile.Plan, s Style) error {
	if s.Width > 0 {
		p := &page{Style: s}
		for _, plan := range plans {
			if plan.FileDiff != "" {
				p.diffLines(0, redactDiff(strings.TrimSuffix(plan.FileDiff, "\n")))
			}
		}
		p.flush(w)
		return nil
	}
	for _, plan := range plans {
		if plan.FileDiff == "" {
			continue
		}
		_, _, hunks, _ := cutHeader(plan.FileDiff)
		name := patchName(plan.File)
		if _, err := fmt.Fprintf(w, "--- %s\n+++ %s\n%s", quotedName("a/"+name), quotedName("b/"+name), hunks); err != nil {
			return err
		}
	}
	return nil
}

// cutHeader takes the two lines with names off a unified diff.
func cutHeader(diff string) (before, after, hunks string, ok bool) {
	before, rest, _ := strings.Cut(diff, "\n")
	after, hunks, ok = strings.Cut(rest, "\n")
	return before, after, hunks, ok
}

// patchName is the path that a patch is to be applied to: tools refuse absolute ones.
func patchName(file string) string {
	if !filepath.IsAbs(file) {
		return filepath.ToSlash(filepath.Clean(file))
	}
	return strings.TrimPrefix(filepath.ToSlash(file), "/")
}

// quotedName is a name as git and patch read it: one with a space ends at a tab,
// one with a quote or a control character is quoted.
func quotedName(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '"' || r == '\\' }) {
		return fmt.Sprintf("%q", name)
	}
	if strings.Contains(name, " ") {
		return name + "\t"
	}
	return name
}

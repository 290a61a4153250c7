package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"nomad-reconcile/reconcile"
)

// Skipped writes one line that counts the files without a job by their kind, the
// most frequent first; nothing where there is none.
func Skipped(w io.Writer, passedOver []reconcile.Skipped, s Style) {
	if len(passedOver) == 0 {
		return
	}
	kinds := map[string]int{}
	for _, f := range passedOver {
		kinds[f.Kind]++
	}
	var parts []string
	for _, kind := range slices.SortedFunc(maps.Keys(kinds), func(a, b string) int {
		return cmp.Or(cmp.Compare(kinds[b], kinds[a]), cmp.Compare(a, b))
	}) {
		parts = append(parts, counted(kinds[kind], kind))
	}
	verb := "hold"
	if len(passedOver) == 1 {
		verb = "holds"
	}
	p := &page{Style: s}
	p.para(0, "", "", fmt.Sprintf("Passed over %s that %s no job: %s.", count(len(passedOver), "file"), verb, strings.Join(parts, ", ")))
	p.flush(w)
}

// counted puts the first noun of "file of another kind" in the plural.
func counted(n int, kind string) string {
	noun, of, _ := strings.Cut(kind, " of ")
	if of != "" {
		of = " of " + of
	}
	return count(n, noun) + of
}

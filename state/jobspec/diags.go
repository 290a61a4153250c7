package jobspec

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
)

func diagnostic(severity hcl.DiagnosticSeverity, at hcl.Range, summary, detail string) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: severity, Summary: summary, Detail: detail, Subject: &at}
}

func errorAt(at hcl.Range, summary, detail string) hcl.Diagnostics {
	return hcl.Diagnostics{diagnostic(hcl.DiagError, at, summary, detail)}
}

// tidy orders diagnostics by place and drops what would keep a syntax tree alive.
func tidy(diags hcl.Diagnostics) hcl.Diagnostics {
	for _, d := range diags {
		d.Expression, d.EvalContext, d.Extra = nil, nil, nil
		d.Detail, _, _ = strings.Cut(d.Detail, "\ngoroutine ") // of a function that panicked
	}
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int { return cmp.Compare(position(a), position(b)) })
	return diags
}

func position(d *hcl.Diagnostic) int {
	switch {
	case d.Subject != nil:
		return d.Subject.Start.Byte
	case d.Context != nil:
		return d.Context.Start.Byte
	}
	return 0
}

// didYouMean is a sentence that names the known name nearest to a typo, or
// nothing.
func didYouMean(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := levenshtein.Distance(name, k, nil); d < distance || d == distance && best != "" && k < best {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return " Did you mean \"" + best + "\"?"
}

// once keeps the first of the warnings that say the same: a name that nobody knows
// is said once, not at each of its places.
func once(diags hcl.Diagnostics) hcl.Diagnostics {
	said := map[string]bool{}
	return slices.DeleteFunc(diags, func(d *hcl.Diagnostic) bool {
		text := d.Summary + "\n" + d.Detail
		again := said[text]
		said[text] = true
		return again
	})
}

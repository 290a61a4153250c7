package report

import (
	"cmp"
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// Diagnostics writes them in the order of their places, each once, errors and
// warnings alike, with the source lines of the files that are given; of a file,
// its Bytes are enough.
func Diagnostics(w io.Writer, diags hcl.Diagnostics, files map[string]*hcl.File, s Style) {
	sorted := sortedDiagnostics(diags)
	var b strings.Builder
	// A string builder takes everything: there is no error to look at.
	_ = hcl.NewDiagnosticTextWriter(&b, files, uint(s.room(0)), s.Color).WriteDiagnostics(sorted)
	lines := strings.Split(b.String(), "\n")
	for i := range lines {
		lines[i] = sieved(cut(lines[i]))
	}
	_, _ = io.WriteString(w, strings.Join(lines, "\n"))
}

// sortedDiagnostics are in the order of their places, each once.
func sortedDiagnostics(diags hcl.Diagnostics) hcl.Diagnostics {
	sorted := slices.Clone(diags)
	slices.SortStableFunc(sorted, func(a, b *hcl.Diagnostic) int { return compareKeys(keyOf(a), keyOf(b)) })
	return slices.CompactFunc(sorted, func(a, b *hcl.Diagnostic) bool { return keyOf(a) == keyOf(b) })
}

// cut shortens a line that nobody reads, such as one of minified JSON, from its end:
// what is left still has the keys by which secrets are known.
func cut(line string) string {
	const most = 1000
	if len(line) <= most {
		return line
	}
	return strings.ToValidUTF8(line[:most], "") + "..."
}

var (
	snippetLine = regexp.MustCompile(`^ *\d+: `)
	// What HCL's writer uses itself.
	hclColors = strings.NewReplacer("\x1b[31m", "", "\x1b[33m", "", "\x1b[0m", "", "\x1b[1;4m", "")
	// "with var.password as "x"," below an expression
	valueAs = regexp.MustCompile(`([\w.-]+)( as )(.+)`)
)

// sieved is a line of HCL's writer; one that has to be changed loses its colours.
func sieved(line string) string {
	bare := hclColors.Replace(line)
	safe := valueAs.ReplaceAllStringFunc(bare, func(m string) string {
		part := valueAs.FindStringSubmatch(m)
		if !secretName(part[1]) {
			return m
		}
		return part[1] + part[2] + job.Redacted
	})
	if snippetLine.MatchString(safe) {
		safe = printable(redactLine(safe))
	} else {
		safe = printable(redactProse(safe))
	}
	if safe == bare {
		return line
	}
	return safe
}

type diagKey struct {
	file            string
	byte, end       int
	severity        hcl.DiagnosticSeverity
	summary, detail string
}

func keyOf(d *hcl.Diagnostic) diagKey {
	k := diagKey{severity: d.Severity, summary: d.Summary, detail: d.Detail}
	if d.Subject != nil {
		k.file, k.byte, k.end = d.Subject.Filename, d.Subject.Start.Byte, d.Subject.End.Byte
	}
	return k
}

func compareKeys(a, b diagKey) int {
	return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.byte, b.byte), cmp.Compare(a.end, b.end),
		cmp.Compare(a.severity, b.severity), cmp.Compare(a.summary, b.summary), cmp.Compare(a.detail, b.detail))
}

// Error writes a machine fault and, where its error knows one, the next step.
func Error(w io.Writer, err error, s Style) {
	if err == nil {
		return
	}
	p := &page{Style: s, names: namesIn(err)}
	text := strings.ReplaceAll(err.Error(), context.Canceled.Error(), "interrupted")
	for i, line := range strings.Split(text, "\n") {
		label := "Error: "
		if i > 0 {
			label = "       "
		}
		p.para(0, label, red, line)
	}
	if fault, ok := errors.AsType[*nomad.Error](err); ok && fault.Hint != "" {
		p.para(0, "Next:  ", cyan, fault.Hint)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		p.para(0, "Next:  ", cyan, "make room on that disk, then run the same command again")
	}
	p.flush(w)
}

// namesIn are the jobs that an error speaks of.
func namesIn(err error) []string {
	var names []string
	if stale, ok := errors.AsType[*reconcile.StaleError](err); ok {
		names = append(names, stale.Job.String())
	}
	if fault, ok := errors.AsType[*nomad.Error](err); ok {
		names = append(names, fault.Subject)
	}
	return names
}

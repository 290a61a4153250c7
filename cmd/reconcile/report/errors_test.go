package report_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/nomad"
)

func TestError(t *testing.T) {
	t.Parallel()
	fault := &nomad.Error{Op: "reading job", Subject: "token-web", Hint: "set NOMAD_TOKEN to a token whose policy has capabilities = [\"read-job\"] for that namespace",
		Err: fmt.Errorf("%w (Permission denied): the token needs the capability %q in namespace %q", nomad.ErrForbidden, "read-job", "default")}
	open := &reconcile.OpenError{Run: history.Run{ID: "7"}}
	var b bytes.Buffer
	for _, err := range []error{
		nil,
		errors.New("reading reconcile.hcl: no such file"),
		fmt.Errorf("planning token-web: %w", fault),
		&history.BusyError{Job: id("web"), PID: 42},
		&reconcile.StaleError{Job: id("token"), What: "jobs/token.hcl changed"},
		errors.Join(context.Canceled, nil, open),
		fmt.Errorf("recording a run: %w; nothing was changed", &fs.PathError{Op: "write", Path: ".reconcile/run.json", Err: syscall.ENOSPC}),
	} {
		report.Error(&b, err, report.Style{Width: 80})
	}
	report.Error(&b, fault, report.Style{Color: true})
	golden(t, "errors", b.String())
}

func TestDiagnostics(t *testing.T) {
	t.Parallel()
	src := "policy \"x\" {\n  enfroce = \"deny\"\n  描述 = \"\x1b[2J\"\n}\n"
	at := func(line, column, from, to int) *hcl.Range {
		return &hcl.Range{Filename: "p.hcl", Start: hcl.Pos{Line: line, Column: column, Byte: from}, End: hcl.Pos{Line: line, Column: column + to - from, Byte: to}}
	}
	typo := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Unsupported argument", Detail: "There is no \"enfroce\" here. Did you mean \"enforce\"? " + strings.Repeat("word ", 20), Subject: at(2, 3, 15, 22)}
	again := *typo
	diags := hcl.Diagnostics{
		{Severity: hcl.DiagWarning, Summary: "Odd", Detail: "It is.", Subject: at(3, 3, 34, 40)},
		typo, &again,
		{Severity: hcl.DiagError, Summary: "Elsewhere", Detail: "Not given.", Subject: &hcl.Range{Filename: "other.hcl", Start: hcl.Pos{Line: 1, Column: 1}, End: hcl.Pos{Line: 1, Column: 2, Byte: 1}}},
		{Severity: hcl.DiagError, Summary: "Nowhere", Detail: "It has no place."},
	}
	files := map[string]*hcl.File{"p.hcl": {Bytes: []byte(src)}}
	var b bytes.Buffer
	report.Diagnostics(&b, diags, files, report.Style{Width: 80})
	b.WriteString("--- in colour\n")
	report.Diagnostics(&b, diags[:2], files, report.Style{Color: true})
	golden(t, "diagnostics", b.String())
	if diags[1] != typo {
		t.Error("the caller's list was changed")
	}
	b.Reset()
	report.Diagnostics(&b, nil, nil, report.Style{})
	if b.Len() > 0 {
		t.Errorf("nothing to say, but: %q", b.String())
	}
}

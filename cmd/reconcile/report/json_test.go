package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

var skips = []reconcile.Skipped{
	{File: "jobs/prod.hcl", Kind: "variable file", Reason: "looks like a variable file: it holds lines NAME = VALUE alone", Next: "pass it with -var-file"},
	{File: "jobs/main.hcl", Kind: "Terraform file", Reason: "looks like a Terraform file: it holds blocks of Terraform"},
	{File: "jobs/test.hcl", Kind: "variable file", Reason: "looks like a variable file: it holds lines NAME = VALUE alone"},
}

// One line, the most frequent kind first; of nothing, nothing.
func TestSkipped(t *testing.T) {
	t.Parallel()
	for n, want := range []string{
		"",
		"Passed over 1 file that holds no job: 1 variable file.\n",
		"Passed over 2 files that hold no job: 1 Terraform file, 1 variable file.\n",
		"Passed over 3 files that hold no job: 2 variable files, 1 Terraform file.\n",
	} {
		var b bytes.Buffer
		if report.Skipped(&b, skips[:n], report.Style{}); b.String() != want {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

// The documents whole: what is written is promised.
func TestJSON(t *testing.T) {
	t.Parallel()
	change := func(name string, before, after cty.Value) reconcile.Change {
		return reconcile.Change{Difference: job.Difference{Path: job.Path{}.Attr(name), Before: before, After: after}}
	}
	held := reconcile.Plan{ID: job.ID{Name: "held"}, Condition: reconcile.Held, Hold: &reconcile.Hold{Reason: "why", Next: "type <this>"}}
	typed := reconcile.Plan{ID: id("typed"), Condition: reconcile.OutOfSync, LiveDiff: []reconcile.Change{
		change("n", cty.NumberIntVal(1), cty.NumberFloatVal(1.5)), change("b", cty.NullVal(cty.Bool), cty.True),
		change("l", strs(), cty.ObjectVal(map[string]cty.Value{"a": strs("b")})), change("token", cty.StringVal("x"), cty.NilVal),
	}}
	plans := append([]reconcile.Plan{orchestrator(t), held, typed}, inSync("web")...)
	tests := []struct {
		name  string
		write func(io.Writer) error
	}{
		{"plan.json", func(w io.Writer) error { return report.PlansJSON(w, plans, skips, ending()) }},
		{"plan-empty.json", func(w io.Writer) error { return report.PlansJSON(w, nil, nil, nil) }},
		{"check.json", func(w io.Writer) error {
			return report.ChecksJSON(w, report.Check{Plans: plans[:2], Skipped: skips[:1], Exceptions: ending(), Side: policies.FileSide})
		}},
		{"check-empty.json", func(w io.Writer) error { return report.ChecksJSON(w, report.Check{Side: policies.FileSide}) }},
		{"apply.json", func(w io.Writer) error { return report.RunsJSON(w, runs()) }},
		{"apply-empty.json", func(w io.Writer) error { return report.RunsJSON(w, nil) }},
		{"history.json", func(w io.Writer) error { return report.HistoryJSON(w, runs()[:5]) }},
		{"history-empty.json", func(w io.Writer) error { return report.HistoryJSON(w, []history.Run{}) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := tt.write(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, tt.name, b.String())
			if err := tt.write(broken{}); !errors.Is(err, errBroken) {
				t.Errorf("writing to a broken pipe: %v", err)
			}
		})
	}
}

var errBroken = errors.New("broken pipe")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// Every key of the documented shape, and no other.
func TestJSONKeys(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := report.PlansJSON(&b, []reconcile.Plan{orchestrator(t)}, nil, nil); err != nil {
		t.Fatal(err)
	}
	var got struct {
		FormatVersion string           `json:"format_version"`
		Jobs          []map[string]any `json:"jobs"`
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	keys := []string{"actions", "condition", "file", "file_diff", "findings", "gates", "hold", "id", "left", "live_diff", "namespace", "notes", "reason", "strategy", "updates"}
	if d := cmp.Diff(keys, slices.Sorted(maps.Keys(got.Jobs[0]))); d != "" || got.FormatVersion != "1.0" {
		t.Errorf("version %q, keys:\n%s", got.FormatVersion, d)
	}
	finding := got.Jobs[0]["findings"].([]any)[0].(map[string]any)
	delete(finding, "message")
	if d := cmp.Diff(map[string]any{
		"policy": "orchestrator-env", "rule": "sudo.preserve_env", "enforce": "deny", "side": "file",
		"path": `group["orchestrator"].task["orchestrator"].config.args[0]`,
		"file": "jobs/orchestrator.hcl", "line": 13.0, "column": 20.0, "fixable": true, "exception": nil,
	}, finding); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]any{"sudoers start-script", "deployment", "logs no-sudo-errors"}, got.Jobs[0]["gates"]); d != "" {
		t.Error(d)
	}
}

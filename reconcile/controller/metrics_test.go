package controller_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
)

// scrape is what Prometheus would read: our own samples, in the order of their
// names, without the buckets of histograms and without zeros where values says so.
func scrape(t *testing.T, m *controller.Metrics, keep func(sample string) bool) []string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	var out []string
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "reconcile_") && !strings.Contains(line, "_bucket{") && keep(line) {
			out = append(out, line)
		}
	}
	return out
}

func all(string) bool        { return true }
func set(sample string) bool { return !strings.HasSuffix(sample, " 0") }

func newMetrics() *controller.Metrics {
	return controller.NewMetrics("1.2.3", []string{"logs", "tcp"}, []string{"job", "register"})
}

// What has never happened is there at zero.
func TestMetricsAtZero(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	m.Findings(policySet(t, sudoPolicy), nil)
	want := `reconcile_build_info{version="1.2.3"} 1
reconcile_config_last_reload_success_timestamp_seconds 0
reconcile_config_last_reload_successful 0
reconcile_event_to_converged_seconds_sum 0
reconcile_event_to_converged_seconds_count 0
reconcile_findings{enforce="deny",policy="sudo",rule="sudo.preserve_env",side="file"} 0
reconcile_findings{enforce="deny",policy="sudo",rule="sudo.preserve_env",side="live"} 0
reconcile_findings{enforce="warn",policy="sudo",rule="sudo.cannot_tell",side="file"} 0
reconcile_findings{enforce="warn",policy="sudo",rule="sudo.cannot_tell",side="live"} 0
reconcile_gate_duration_seconds_sum{kind="deployment"} 0
reconcile_gate_duration_seconds_count{kind="deployment"} 0
reconcile_gate_duration_seconds_sum{kind="logs"} 0
reconcile_gate_duration_seconds_count{kind="logs"} 0
reconcile_gate_duration_seconds_sum{kind="tcp"} 0
reconcile_gate_duration_seconds_count{kind="tcp"} 0
reconcile_jobs{condition="converging"} 0
reconcile_jobs{condition="degraded"} 0
reconcile_jobs{condition="denied"} 0
reconcile_jobs{condition="failed"} 0
reconcile_jobs{condition="held"} 0
reconcile_jobs{condition="in_sync"} 0
reconcile_jobs{condition="orphan"} 0
reconcile_jobs{condition="out_of_sync"} 0
reconcile_last_pass_timestamp_seconds 0
reconcile_nomad_request_duration_seconds_sum{call="job"} 0
reconcile_nomad_request_duration_seconds_count{call="job"} 0
reconcile_nomad_request_duration_seconds_sum{call="register"} 0
reconcile_nomad_request_duration_seconds_count{call="register"} 0
reconcile_nomad_request_errors_total{call="job"} 0
reconcile_nomad_request_errors_total{call="register"} 0
reconcile_nomad_requests_total{call="job"} 0
reconcile_nomad_requests_total{call="register"} 0
reconcile_queue_depth 0
reconcile_queue_retries_total 0
reconcile_queue_wait_seconds_sum 0
reconcile_queue_wait_seconds_count 0
reconcile_run_duration_seconds_sum 0
reconcile_run_duration_seconds_count 0
reconcile_runs_total{result="converged"} 0
reconcile_runs_total{result="denied"} 0
reconcile_runs_total{result="failed"} 0
reconcile_runs_total{result="held"} 0
reconcile_runs_total{result="rolled_back"} 0
reconcile_runs_total{result="unchanged"} 0
reconcile_watch_errors_total 0`
	if d := cmp.Diff(strings.Split(want, "\n"), scrape(t, m, all)); d != "" {
		t.Error(d)
	}
}

func policySet(t *testing.T, text string) *policies.Set {
	t.Helper()
	set, diags := policies.Load([]policies.Source{{Name: "p.policy.hcl", Bytes: []byte(text)}}, policies.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return set
}

func TestMetricsOfWhatHappens(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	at := time.Unix(1_700_000_000, 0)
	m.Conditions(map[reconcile.Condition]int{reconcile.InSync: 3, reconcile.Held: 1})
	m.Conditions(map[reconcile.Condition]int{reconcile.InSync: 4})
	m.Run(history.Run{ID: "1", Result: history.Converged, Started: at, Ended: at.Add(4 * time.Second), Gates: []history.GateResult{
		{Kind: "logs", Result: history.OK, Duration: 2 * time.Second}, {Kind: "tcp", Result: history.Cancelled},
	}})
	m.Run(history.Run{Result: history.Unchanged})
	m.Run(history.Run{ID: "2", Open: true})
	m.Queue(7)
	m.Waited(time.Second)
	m.Retried()
	m.Converged(30 * time.Second)
	m.Passed(at)
	m.Call("job", time.Millisecond, nil)
	m.Call("job", time.Second, errors.New("no"))
	m.Call("job", time.Second, context.Canceled)
	m.WatchError()
	m.Loaded("aaaa", at, nil)
	m.Loaded("bbbb", at, nil)
	m.Loaded("", at, errors.New("mistake"))
	want := `reconcile_build_info{version="1.2.3"} 1
reconcile_config_info{hash="bbbb"} 1
reconcile_config_last_reload_success_timestamp_seconds 1.7e+09
reconcile_event_to_converged_seconds_sum 30
reconcile_event_to_converged_seconds_count 1
reconcile_gate_duration_seconds_sum{kind="logs"} 2
reconcile_gate_duration_seconds_count{kind="logs"} 1
reconcile_jobs{condition="in_sync"} 4
reconcile_last_pass_timestamp_seconds 1.7e+09
reconcile_nomad_request_duration_seconds_sum{call="job"} 2.001
reconcile_nomad_request_duration_seconds_count{call="job"} 3
reconcile_nomad_request_errors_total{call="job"} 1
reconcile_nomad_requests_total{call="job"} 3
reconcile_queue_depth 7
reconcile_queue_retries_total 1
reconcile_queue_wait_seconds_sum 1
reconcile_queue_wait_seconds_count 1
reconcile_run_duration_seconds_sum 4
reconcile_run_duration_seconds_count 1
reconcile_runs_total{result="converged"} 1
reconcile_runs_total{result="unchanged"} 1
reconcile_watch_errors_total 1`
	if d := cmp.Diff(strings.Split(want, "\n"), scrape(t, m, set)); d != "" {
		t.Error(d)
	}
}

// A finding that is mended stays, at zero; one of a policy that is gone goes.
func TestMetricsOfFindings(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	findings := func() []string {
		return scrape(t, m, func(s string) bool { return strings.HasPrefix(s, "reconcile_findings") })
	}
	missing := controller.Finding{Policy: `source "nomad"`, Rule: "source.missing", Enforce: "warn", Side: "live"}
	m.Findings(policySet(t, sudoPolicy), map[controller.Finding]int{missing: 2})
	m.Findings(policySet(t, sudoPolicy), nil)
	first := []string{
		`reconcile_findings{enforce="deny",policy="sudo",rule="sudo.preserve_env",side="file"} 0`,
		`reconcile_findings{enforce="deny",policy="sudo",rule="sudo.preserve_env",side="live"} 0`,
		`reconcile_findings{enforce="warn",policy="source \"nomad\"",rule="source.missing",side="live"} 0`,
		`reconcile_findings{enforce="warn",policy="sudo",rule="sudo.cannot_tell",side="file"} 0`,
		`reconcile_findings{enforce="warn",policy="sudo",rule="sudo.cannot_tell",side="live"} 0`,
	}
	if d := cmp.Diff(first, findings()); d != "" {
		t.Error(d)
	}
	warn := strings.Replace(sudoPolicy, "fix = true", "enforce = \"warn\"", 1)
	m.Findings(policySet(t, warn), map[controller.Finding]int{{Policy: "sudo", Rule: "sudo.preserve_env", Enforce: "warn", Side: "file"}: 3})
	second := []string{
		`reconcile_findings{enforce="warn",policy="sudo",rule="sudo.cannot_tell",side="file"} 0`,
		`reconcile_findings{enforce="warn",policy="sudo",rule="sudo.cannot_tell",side="live"} 0`,
		`reconcile_findings{enforce="warn",policy="sudo",rule="sudo.preserve_env",side="file"} 3`,
		`reconcile_findings{enforce="warn",policy="sudo",rule="sudo.preserve_env",side="live"} 0`,
	}
	if d := cmp.Diff(second, findings()); d != "" {
		t.Error(d)
	}
}

func TestFindingsOf(t *testing.T) {
	t.Parallel()
	f := reconcile.Finding{Finding: policies.Finding{Policy: "p", Rule: "r", Enforce: policies.Deny, Side: policies.FileSide}}
	waived := f
	waived.Exception = &policies.Exception{}
	got := controller.FindingsOf(reconcile.Plan{Findings: []reconcile.Finding{f, waived, f}})
	if d := cmp.Diff(map[controller.Finding]int{{Policy: "p", Rule: "r", Enforce: "deny", Side: "file"}: 2}, got); d != "" {
		t.Error(d)
	}
}

// Every condition there is has a series.
func TestConditionsAreAll(t *testing.T) {
	t.Parallel()
	if got := controller.Conditions(); len(slices.Compact(slices.Sorted(slices.Values(got)))) != 8 {
		t.Errorf("%v", got)
	}
}

package report_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

var start = time.Date(2026, 2, 4, 16, 30, 0, 0, time.FixedZone("CST", 8*3600))

func runs() []history.Run {
	gates := []history.GateResult{{Kind: "deployment", Result: history.OK, Detail: "1 allocation healthy for 10s"}, {Kind: "logs", Name: "no-sudo-errors", Result: history.OK}}
	failed := []history.GateResult{gates[0], {Kind: "logs", Name: "no-sudo-errors", Result: history.NotOK, Detail: "stderr of orchestrator: sudo: 对不起，不允许您保留环境变量 (a line that matches ^sudo: )"}, {Kind: "sudoers", Name: "script", Result: history.Skipped, Detail: "cannot tell"}}
	steps := []history.Step{{Name: "write", Result: history.OK, Duration: 1500 * time.Microsecond, Detail: "jobs/orchestrator.hcl"}, {Name: "register", Result: history.OK, Duration: 2 * time.Second, Detail: "version 5"}}
	backup := ".reconcile/jobs/default.orchestrator/20260204T083000Z-1/orchestrator.hcl.backup.20260204_083000"
	return []history.Run{
		{ID: "20260204T083000Z-1", Job: id("orchestrator"), Kind: "apply", File: "jobs/orchestrator.hcl", Started: start, Ended: start.Add(34400 * time.Millisecond), VersionBefore: 3, VersionAfter: 5, Backup: backup, Result: history.Converged, Steps: steps, Gates: gates},
		{ID: "20260203T083000Z-7", Job: job.ID{Namespace: "prod", Name: "沙箱"}, Kind: "agent", File: "jobs/沙箱.hcl", Started: start.Add(-24 * time.Hour), Ended: start.Add(-24*time.Hour + time.Minute), VersionBefore: 3, VersionAfter: 6, Backup: backup, Result: history.RolledBack, Reason: "gate logs no-sudo-errors: a line matches ^sudo: ; file and job are as they were", Gates: failed},
		{ID: "3", Job: id("broken"), Kind: "apply", Started: start.Add(-3 * time.Hour), Ended: start.Add(-3*time.Hour + 11*time.Minute), VersionBefore: 1, VersionAfter: 2, Result: history.Failed, Reason: "gate deployment: allocation 06b36305 is failed; the job was not healthy before either, so there was nothing better to go back to: file and job stay as the run left them"},
		{ID: "4", Job: id("cut"), Kind: "apply", VersionBefore: 6, Started: start.Add(-20 * time.Second), Open: true},
		{ID: "5", Job: id("back"), Kind: "rollback", Of: "1", Started: start.Add(time.Hour), Ended: start.Add(time.Hour + time.Second), VersionBefore: 2, VersionAfter: 2, Result: history.Converged},
		{Job: id("web"), File: "jobs/web.hcl", Result: history.Held, Reason: "Nomad refuses the job: 1 error occurred:\n\t* Task group web validation failed"},
		{Job: id("images"), Result: history.Denied, Reason: "forbidden by images rule.image-pinned"},
		{Job: id("api"), Result: history.Unchanged},
	}
}

func TestRuns(t *testing.T) {
	t.Parallel()
	var many []history.Run
	for range 11 {
		many = append(many, history.Run{Job: id("x"), Result: history.Unchanged})
	}
	tests := []struct {
		name  string
		runs  []history.Run
		style report.Style
	}{
		{"runs-80", runs(), report.Style{Width: 80}},
		{"runs-color", runs()[:2], report.Style{Color: true}},
		{"runs-many", many, report.Style{Width: 80}},
		{"runs-empty", nil, report.Style{Width: 80}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			report.Runs(&b, tt.runs, tt.style)
			golden(t, tt.name, b.String())
		})
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		runs  []history.Run
		style report.Style
	}{
		{"history-100", runs()[:5], report.Style{Width: 100}},
		{"history-color", runs()[:5], report.Style{Width: 140, Color: true}},
		{"history-empty", nil, report.Style{Width: 80}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			report.History(&b, tt.runs, start.Add(40*time.Second), tt.style)
			golden(t, tt.name, b.String())
		})
	}
}

func TestPastRun(t *testing.T) {
	t.Parallel()
	past := report.Past{Run: runs()[1], FileDiff: "--- a/jobs/沙箱.hcl\n+++ b/jobs/沙箱.hcl\n@@ -1 +1 @@\n-a = 1\n+DB_PASSWORD = \"planted\"\n"}
	past.Run.By, past.Run.Actions, past.Run.Strategy, past.Run.OnFailure = "王芳", []string{"edit", "register"}, "restart", "rollback"
	past.Run.Basis.Policies = "8664e3f70b20425e39a8e4338ec40e3bf819e0572c1180c34d214db0d1b2d777"
	past.Run.Steps = append(runs()[0].Steps, history.Step{Name: "restore job", Result: history.NotOK, Duration: time.Minute, Detail: "Unexpected response code: 500 (任务无法注册，因为没有节点满足所有的约束条件，请检查集群状态)"})
	past.LiveDiff = []history.Change{
		{Path: `group["沙箱"].task["web"].config.args`, Before: json.RawMessage(`["-E","x"]`), After: json.RawMessage(`["x"]`), Finding: true},
		{Path: `group["沙箱"].task["web"].resources.memory`, Before: json.RawMessage(`1234567890123`), After: nil},
	}
	cut := report.Past{Run: runs()[3], New: true}
	cut.Run.Intents = []history.Intent{{Step: "register"}}
	for name, tt := range map[string]struct {
		past  report.Past
		style report.Style
	}{
		"past-80":    {past, report.Style{Width: 80}},
		"past-color": {past, report.Style{Width: 120, Color: true}},
		"past-open":  {cut, report.Style{Width: 80}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			report.PastRun(&b, tt.past, start.Add(40*time.Second), tt.style)
			golden(t, name, b.String())
		})
	}
}

func TestSuspensions(t *testing.T) {
	t.Parallel()
	list := []history.Suspension{
		{Job: "沙箱@prod", Reason: "迁移到新的数据中心，预计需要两个小时，期间请不要修改任何配置；API_TOKEN=planted", By: "王芳", Until: start.Add(2 * time.Hour)},
		{Reason: "freeze\n\x1b[31m"},
	}
	var b bytes.Buffer
	report.Suspended(&b, list, report.Style{Width: 80})
	report.Resumed(&b, list[:1], list[1:], report.Style{Width: 80})
	golden(t, "suspensions-80", b.String())
}

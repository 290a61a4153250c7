package report_test

import (
	"bytes"
	"fmt"
	"testing"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
)

// What is live, or would be if anybody had asked Nomad, is not in it.
func TestChecks(t *testing.T) {
	t.Parallel()
	absent := inSync("absent")
	absent[0].Condition, absent[0].Reason, absent[0].Live, absent[0].Left = reconcile.OutOfSync, "Nomad does not know it", nil, []string{"live"}
	plans := append(append([]reconcile.Plan{orchestrator(t)}, conditions(t)...), absent...)
	tests := []struct {
		name  string
		plans []reconcile.Plan
		style report.Style
	}{
		{"checks-80", plans, report.Style{Width: 80}},
		{"checks-clean", absent, report.Style{}},
		{"checks-empty", nil, report.Style{}},
		{"checks-excepted-80", excepted(t, 2), report.Style{Width: 80}},
		{"checks-excepted-color", excepted(t, 1), report.Style{Width: 140, Color: true}},
		{"checks-excepted-many", excepted(t, 11), report.Style{}},
		{"checks-fixed", plans[:1], report.Style{Applying: true, Color: true, Width: 120}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			report.Checks(&b, report.Check{Plans: tt.plans, Side: policies.FileSide}, tt.style)
			golden(t, tt.name, b.String())
		})
	}
}

// excepted are jobs of which an exception waives everything, and before them one
// where something is left.
func excepted(t *testing.T, n int) []reconcile.Plan {
	e, other := exception("2027-03-31", "迁移到新的镜像仓库 in Q1, when the old registry goes away and all that is in it"), exception("2027-06-30", "other")
	var out []reconcile.Plan
	for i := range n {
		plan := orchestrator(t)
		plan.ID.Name = fmt.Sprintf("job-%02d", i)
		waived := plan.Findings[0]
		waived.Exception, waived.Edits = &e, nil
		again := waived
		again.Exception = &other
		found := []reconcile.Finding{waived, waived, again}
		if i == 0 {
			found = append(found, plan.Findings[0])
		} else {
			plan.FileDiff = ""
		}
		plan.Findings = found
		out = append(out, plan)
	}
	return out
}

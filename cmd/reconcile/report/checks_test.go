package report_test

import (
	"bytes"
	"testing"

	"nomad-reconcile/cmd/reconcile/report"
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
		{"checks-fixed", plans[:1], report.Style{Applying: true, Color: true, Width: 120}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			report.Checks(&b, tt.plans, tt.style)
			golden(t, tt.name, b.String())
		})
	}
}

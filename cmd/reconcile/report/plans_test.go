package report_test

import (
	"bytes"
	"testing"

	"nomad-reconcile/cmd/reconcile/report"
)

func TestLook(t *testing.T) {
	for _, w := range []int{80, 140} {
		var b bytes.Buffer
		report.Plans(&b, append(inSync("api", "web"), orchestrator(t)), report.Style{Color: w == 80, Width: w})
		t.Log("\n" + b.String())
	}
}

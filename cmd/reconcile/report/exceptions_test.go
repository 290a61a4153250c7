package report_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
)

// today is late in the day, so that whole days and hours are told apart.
var today = time.Date(2026, 11, 23, 22, 30, 0, 0, time.UTC)

func exception(day, reason string) policies.Exception {
	expires, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	return policies.Exception{
		Policy: "images", Rules: []string{"rule.image-pinned"}, Reason: reason, Expires: expires,
		Range: hcl.Range{Filename: "policies/images.policy.hcl", Start: hcl.Pos{Line: 14, Column: 3, Byte: 300}, End: hcl.Pos{Line: 14, Column: 12, Byte: 309}},
	}
}

func ending() []report.Due {
	return report.DueExceptions([]policies.Exception{
		exception("2026-12-08", "not yet"), exception("2026-12-07", "迁移到新的镜像仓库需要等到第一季度，之后就不再需要这个例外"), exception("2026-11-23", "today"),
		exception("2026-11-22", "yesterday it ended, and nobody has looked at it since: the job still runs the image of the old registry"), exception("2026-11-24", "tomorrow"),
	}, today)
}

// Within 14 days, on the last day and after it; the earliest first.
func TestDueExceptions(t *testing.T) {
	t.Parallel()
	type due struct {
		reason string
		days   int
		ended  bool
	}
	var got []due
	for _, d := range ending() {
		got = append(got, due{d.Reason[:5], d.Days, d.Ended})
	}
	want := []due{{"yeste", -1, true}, {"today", 0, false}, {"tomor", 1, false}, {"迁移到"[:5], 14, false}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(due{})); d != "" {
		t.Error(d)
	}
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	for name, style := range map[string]report.Style{"exceptions-80": {Width: 80}, "exceptions-color": {Width: 140, Color: true}} {
		var b bytes.Buffer
		report.Exceptions(&b, ending(), style)
		golden(t, name, b.String())
	}
	var b bytes.Buffer
	report.Exceptions(&b, nil, report.Style{})
	if b.Len() > 0 {
		t.Errorf("with nothing to tell: %q", b.String())
	}
}

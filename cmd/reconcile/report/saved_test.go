package report_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// moved is a plan in which everything moved, with secrets and wide characters.
var moved = reconcile.Stale{
	Nomad:    "https://me:planted-login@nomad.example.com:4646",
	Policies: []string{"~ policies/编排器.policy.hcl", "+ policies/new.policy.hcl", "- policies/old.policy.hcl"},
	Jobs: []reconcile.StaleJob{{
		ID: id("编排器"), Moved: []reconcile.Part{reconcile.MovedFile, reconcile.MovedVariables, reconcile.MovedPolicies, reconcile.MovedLive},
		Reason:   "jobs/编排器.hcl changed; values of variables changed; the policies changed; the live job went from version 3 to 5 and was stopped; now nothing would be done to it: it is held, password = planted-reason",
		FileDiff: diffOf("jobs/编排器.hcl", "API_TOKEN = \"planted-old\"\n", "API_TOKEN = \"planted-new\" # 注释\n"),
		Variables: []reconcile.VariableMoved{
			{Name: "db_password", Before: "planted-a", After: "planted-b"},
			{Name: "region", Before: nil, After: []any{"eu", "https://u:planted-url@example.com"}},
		},
		LiveDiff: []job.Difference{
			{Path: job.Path{}.Block("group", "网").Block("task", "网").Attr("env").Attr("DB_PASSWORD"), Before: cty.StringVal("planted-c"), After: cty.NullVal(cty.String)},
			{Path: job.Path{}.Block("group", "网").Block("task", "网").Attr("env").Attr("A_RATHER_LONG_NAME_OF_A_VARIABLE"), Before: cty.StringVal("before it was this"), After: cty.StringVal("and now it is that")},
		},
		Planned: []reconcile.Action{reconcile.EditFile},
	}, {
		ID: id("uuid"), Moved: []reconcile.Part{reconcile.MovedOutcome}, Reason: "file, variables, policies and live job are as they were, but something else would be done",
		LiveDiff: []job.Difference{{Path: job.Path{}.Attr("meta").Attr("id"), Before: cty.StringVal("a"), After: cty.StringVal("b")}},
	}},
}

func TestStale(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stale reconcile.Stale
		style report.Style
	}{
		"stale-80":    {moved, report.Style{Width: 80}},
		"stale-color": {moved, report.Style{Width: 100, Color: true}},
		"stale-vars": {reconcile.Stale{Jobs: []reconcile.StaleJob{{
			ID: id("web"), Moved: []reconcile.Part{reconcile.MovedPolicies}, Reason: "the policies changed",
		}}}, report.Style{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			report.Stale(&b, tt.stale, tt.style)
			if strings.Contains(b.String(), "planted") {
				t.Errorf("a secret is shown:\n%s", b.String())
			}
			golden(t, name, b.String())
		})
	}
}

func TestStaleJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := report.StaleJSON(&b, moved, []history.Run{{ID: "r1", Job: id("web"), Result: history.RolledBack}}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "planted") {
		t.Errorf("a secret is shown:\n%s", b.String())
	}
	golden(t, "stale.json", b.String())
}

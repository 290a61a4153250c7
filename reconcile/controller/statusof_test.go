package controller_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
)

func TestStatusOf(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	finding := reconcile.Finding{Finding: policies.Finding{Policy: "p", Rule: "r"}}
	open := history.Run{ID: "open", Open: true, Started: noon}
	failed := history.Run{ID: "failed", Result: history.Failed, Started: noon, Ended: noon.Add(time.Minute)}
	for name, tt := range map[string]struct {
		plan reconcile.Plan
		past []history.Run
		want controller.Status
	}{
		"in sync": {
			reconcile.Plan{Condition: reconcile.InSync, Live: &reconcile.LiveState{Version: 3}}, []history.Run{failed},
			controller.Status{Condition: reconcile.InSync, Version: new(uint64(3)), LastRun: &failed},
		},
		"the agent will do it": {
			reconcile.Plan{Condition: reconcile.OutOfSync, Reason: "why", Actions: []reconcile.Action{reconcile.EditFile}, Findings: []reconcile.Finding{finding, finding}}, nil,
			controller.Status{Condition: reconcile.OutOfSync, Reason: "why", Findings: 2},
		},
		"left": {
			reconcile.Plan{Condition: reconcile.OutOfSync, Left: []string{"a", "b"}}, nil,
			controller.Status{Condition: reconcile.OutOfSync, Next: []string{"a", "b"}},
		},
		"held": {
			reconcile.Plan{Condition: reconcile.Held, Hold: &reconcile.Hold{Reason: "why", Next: "next"}}, nil,
			controller.Status{Condition: reconcile.Held, Next: []string{"next"}},
		},
		"denied": {
			reconcile.Plan{ID: webID, Condition: reconcile.Denied}, nil,
			controller.Status{ID: webID, Condition: reconcile.Denied, Next: []string{"reconcile plan web   (shows the findings)"}},
		},
		"degraded": {
			reconcile.Plan{ID: webID, Condition: reconcile.Degraded, Basis: history.Basis{File: "f"}}, nil,
			controller.Status{ID: webID, Condition: reconcile.Degraded, Next: []string{"reconcile doctor web   (says why)"}, Revision: history.Basis{File: "f"}},
		},
		"failed, with a hold": {
			reconcile.Plan{Condition: reconcile.Failed, Hold: &reconcile.Hold{Next: "next"}}, []history.Run{failed},
			controller.Status{Condition: reconcile.Failed, Next: []string{"next"}, Since: noon.Add(time.Minute), LastRun: &failed},
		},
		"a run is open": {
			reconcile.Plan{Condition: reconcile.Converging}, []history.Run{open, failed},
			controller.Status{Condition: reconcile.Converging, Since: noon, LastRun: &open},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if d := cmp.Diff(tt.want, controller.StatusOf(tt.plan, tt.past)); d != "" {
				t.Error(d)
			}
		})
	}
}

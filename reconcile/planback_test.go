package reconcile

import (
	"strings"
	"testing"

	"nomad-reconcile/state/history"
)

// A run is written as its ID and result, "<X" behind it where it rolls X back;
// the newest first.
func TestStanding(t *testing.T) {
	t.Parallel()
	results := map[string]history.Result{
		"ok": history.Converged, "failed": history.Failed, "back": history.RolledBack, "idle": history.Unchanged, "held": history.Held,
	}
	for text, want := range map[string]string{
		"":                                      "",
		"2 ok, 1 ok":                            "2 1",
		"2 failed, 1 ok":                        "2 1",
		"2 back, 1 idle, 0 held":                "",
		"2 open, 1 ok":                          "2 1",
		"2 ok <1, 1 ok":                         "",
		"2 failed <1, 1 ok":                     "",
		"2 back <1, 1 ok":                       "1",
		"2 open <1, 1 ok":                       "2 1",
		"3 ok, 2 ok <1, 1 ok":                   "3",
		"3 ok <2, 2 ok <1, 1 ok":                "3",
		"4 ok <3, 3 ok <2, 2 ok <1, 1 ok":       "",
		"4 ok <1, 3 ok <2, 2 ok, 1 ok":          "",
		"3 ok <0, 2 ok":                         "3 2",
		"5 ok, 4 ok <1, 3 ok <2, 2 ok, 1 ok <0": "5",
	} {
		var runs []history.Run
		for one := range strings.SplitSeq(text, ", ") {
			words := strings.Fields(one)
			if len(words) == 0 {
				continue
			}
			r := history.Run{ID: words[0], Result: results[words[1]], Open: words[1] == "open"}
			if len(words) > 2 {
				r.Of = words[2][1:]
			}
			runs = append(runs, r)
		}
		var got []string
		for _, r := range standing(runs) {
			got = append(got, r.ID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("of %q stand %q, want %q", text, strings.Join(got, " "), want)
		}
	}
}

func TestRollbackHolds(t *testing.T) {
	t.Parallel()
	run := func(id string, r history.Result) history.Run { return history.Run{ID: id, Result: r, Open: r == ""} }
	for name, tt := range map[string]struct {
		past   history.Run
		newer  []history.Run
		wanted string
		reason string
		next   string
	}{
		"nothing":     {past: run("1", history.Converged)},
		"open itself": {run("1", ""), nil, "", "run 1 has not ended", "undo it first, by itself: reconcile rollback 1"},
		"rolled back": {run("1", history.RolledBack), nil, "", "run 1 was rolled back already", "reconcile history"},
		"a newer one is open": {
			run("1", history.Converged), []history.Run{run("2", "")}, "2",
			"run 2 has not ended", "undo it first, by itself: reconcile rollback 2",
		},
		"newer ones": {
			run("1", history.Converged), []history.Run{run("4", history.Failed), run("3", history.Converged), run("2", history.RolledBack)}, "1",
			"runs 4, 3 came after run 1: going back to before it would lose that unseen", "go back through all of them: reconcile rollback 4 3 1",
		},
		"rolled back by hand before others came": {
			past: run("1", history.Converged), newer: []history.Run{run("3", history.Converged), {ID: "2", Of: "1", Result: history.Converged}},
		},
		"newer ones that are named": {past: run("1", history.Failed), newer: []history.Run{run("3", history.Converged), run("2", history.Converged)}, wanted: "1 2 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := back{past: tt.past, newer: tt.newer, wanted: map[string]bool{}}
			for _, id := range strings.Fields(tt.wanted) {
				b.wanted[id] = true
			}
			h := b.held()
			if h == nil {
				h = &Hold{}
			}
			if h.Reason != tt.reason || h.Next != tt.next {
				t.Errorf("%+v", *h)
			}
		})
	}
}

package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

var errFull = errors.New("no space left on device")

// fullFrom lets some writes pass and then none, or all but one.
func fullFrom(passes int, once bool) (beforeWrite func() error, seen *atomic.Int32) {
	seen = new(atomic.Int32)
	return func() error {
		n := int(seen.Add(1)) - 1
		if n == passes || n > passes && !once {
			return errFull
		}
		return nil
	}, seen
}

// A disk that is full at any write of the history: the file is old or new, the job
// runs, and when there is room again the run is settled to one or the other whole.
func TestDiskFullAtEveryWrite(t *testing.T) {
	for name, policy := range map[string]string{
		"update":     sudoPolicy,
		"restart":    sudoPolicy + restart,
		"gate fails": setBroken + strings.Replace(logsGate("ready"), "deadline", "strategy = \"restart\"\n  deadline", 1),
	} {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, once %v", name, once), func(t *testing.T) {
				t.Parallel()
				for n := 0; ; n++ {
					if done := fillDisk(t, policy, n, once); done {
						if n < 8 {
							t.Errorf("only %d writes", n)
						}
						return
					}
				}
			})
		}
	}
}

// fillDisk is one row; done where the run needs no more writes than passed.
func fillDisk(t *testing.T, policy string, n int, once bool) (done bool) {
	w := newWorld(t, policy)
	w.edit(`"-E", `, "")
	w.run()
	if strings.Contains(policy, "preserve_env") { // something to fix in a job that is healthy
		w.policy = strings.Replace(w.policy, sudoPolicy, "policy \"level\" {\n  fix = true\n\n  env {\n    values = { LOG_LEVEL = \"debug\" }\n  }\n}\n", 1)
	}
	before := w.read()
	plan := w.plan()
	hook, seen := fullFrom(n, once)
	w.store.BeforeWrite = hook
	run, err := w.applier().Apply(w.ctx(), plan)
	w.store.BeforeWrite = nil
	if int(seen.Load()) <= n {
		return true
	}
	at := fmt.Sprintf("write %d", n)
	if err == nil && run.Result == history.Converged {
		t.Errorf("%s: converged, though a write failed", at)
	}
	if err != nil && !errors.Is(err, errFull) {
		t.Errorf("%s: %v", at, err)
	}
	whole(t, w, plan, before, at)
	open, err := w.store.Unfinished()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range open {
		settled, err := w.applier().Settle(w.ctx(), o, w.planner().RolloutOf(w.live().Job), false)
		if err != nil {
			t.Errorf("%s: settling: %v", at, err)
		}
		at += fmt.Sprintf(" (%s: %s)", settled.Result, settled.Reason)
	}
	whole(t, w, plan, before, at+", settled")
	env := w.live().Job.TaskGroups[0].Tasks[0].Env
	changed := env["LOG_LEVEL"] == "debug" || env["BROKEN"] != ""
	if file := w.read() != before; file != changed {
		t.Errorf("%s, settled: the file is changed: %v, the job: %v", at, file, changed)
	}
	if open, _ := w.store.Unfinished(); len(open) > 0 {
		t.Errorf("%s: still open: %+v", at, open)
	}
	return false
}

func whole(t *testing.T, w *world, p reconcile.Plan, before, at string) {
	t.Helper()
	if text := w.read(); text != before && text != string(p.After()) {
		t.Errorf("%s: the file is neither old nor new:\n%s", at, text)
	}
	if w.live().State.Stopped {
		t.Errorf("%s: the job is stopped", at)
	}
}

// What a Nomad that misbehaves during the gates makes of a run.
func TestFaultsDuringARun(t *testing.T) {
	refusing := func(status int) nomadtest.Fault {
		return nomadtest.Fault{Method: "GET", Path: "/v1/job/*", Status: status, Text: "try again"}
	}
	cut := nomadtest.Fault{Cut: true}
	hang := nomadtest.Fault{Delay: time.Hour}
	const for1s, forever = time.Second, time.Duration(0)
	for name, tt := range map[string]struct {
		at       string // the step before which it begins
		fault    nomadtest.Fault
		last     time.Duration // how long; forever is until the run has ended
		deadline string
		want     history.Result // empty: the run stays open
		words    string
		settled  history.Result // of an open run, when Nomad is back
	}{
		"restarts in the gates":       {"gate deployment", cut, for1s, "20s", history.Converged, "", ""},
		"500 in the gates":            {"gate deployment", refusing(500), for1s, "20s", history.Converged, "", ""},
		"429 in the gates":            {"gate deployment", refusing(429), for1s, "20s", history.Converged, "", ""},
		"slow in the gates":           {"gate deployment", nomadtest.Fault{Delay: 200 * time.Millisecond}, forever, "20s", history.Converged, "", ""},
		"away from the gates on":      {"gate deployment", cut, forever, "1s", "", "no answer from Nomad", history.Converged},
		"500 from the gates on":       {"gate deployment", refusing(500), forever, "1s", "", "no answer from Nomad", history.Converged},
		"429 from the gates on":       {"gate deployment", refusing(429), forever, "1s", "", "no answer from Nomad", history.Converged},
		"hangs from the gates on":     {"gate deployment", hang, forever, "1s", "", "no answer from Nomad", history.Converged},
		"restarts at the register":    {"register", cut, for1s, "20s", history.Converged, "", ""},
		"429 at the register":         {"register", nomadtest.Fault{Status: 429, Text: "too many"}, for1s, "20s", history.Converged, "", ""},
		"500 at the register":         {"register", nomadtest.Fault{Method: "PUT", Status: 500, Text: "no"}, forever, "20s", history.RolledBack, "refused with status 500: no; everything is as it was", ""},
		"lost leader at the register": {"register", nomadtest.Fault{Method: "PUT", Status: 500, Text: "leadership lost while committing log"}, for1s, "20s", history.Converged, "", ""},
		"away from the register on":   {"register", cut, forever, "1s", "", "no answer from Nomad", history.Converged},
		"hangs from the register on":  {"register", hang, forever, "1s", "", "", history.Converged},
		"restarts at the stop":        {"stop", cut, for1s, "20s", history.Converged, "", ""},
		"away from the stop on":       {"stop", cut, forever, "1s", "", "no answer from Nomad", ""},
		"away from the wait on":       {"wait", cut, forever, "1s", "", "no answer from Nomad", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			strategy := "update"
			if tt.at == "stop" || tt.at == "wait" {
				strategy = "restart"
			}
			w := healthy(t, strings.Replace(setBroken, "BROKEN", "VALUE", 1)+fmt.Sprintf("rollout \"web\" {\n  strategy = %q\n  deadline = %q\n}\n", strategy, tt.deadline))
			before, plan := w.read(), w.plan()
			a, remove := w.applier(), func() {}
			a.Progress = func(e reconcile.Event) {
				if e.Step == tt.at && e.Outcome == "" {
					a.Progress = nil
					remove = w.server.Fault(tt.fault)
					if tt.last > 0 {
						time.AfterFunc(tt.last, remove)
					}
				}
			}
			run, err := a.Apply(w.ctx(), plan) // whose deadline is the watchdog
			remove()
			var open *reconcile.OpenError
			if errors.As(err, &open) != (tt.want == "") || err != nil && open == nil || run.Result != tt.want {
				t.Fatalf("%s: %s, %v", run.Result, run.Reason, err)
			}
			if words := run.Reason + fmt.Sprint(err); !strings.Contains(words, tt.words) {
				t.Errorf("it says %s", words)
			}
			if open != nil {
				if run, err = w.applier().Settle(w.ctx(), open.Run, policies.Rollout{}, false); err != nil {
					t.Fatal(err)
				}
				if tt.settled != "" && run.Result != tt.settled {
					t.Errorf("settled: %s: %s", run.Result, run.Reason)
				}
			}
			whole(t, w, plan, before, "in the end")
			live := w.live()
			changed := live.Job.TaskGroups[0].Tasks[0].Env["VALUE"] != ""
			if file := w.read() != before; file != changed || changed != (run.Result == history.Converged) || !live.State.Healthy {
				t.Errorf("%s: file changed %v, job changed %v, healthy %v: %s", run.Result, file, changed, live.State.Healthy, live.State.Why)
			}
		})
	}
}

// A clock that is set back changes what is written down, and nothing else.
func TestTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	w := healthy(t, setBroken+logsGate("ready"))
	a := w.applier()
	var ticks atomic.Int64
	a.Clock = func() time.Time { return time.Now().Add(-time.Hour * time.Duration(ticks.Add(1))) }
	run, err := a.Apply(w.ctx(), w.plan())
	if err != nil || run.Result != history.RolledBack {
		t.Fatalf("%s: %s, %v", run.Result, run.Reason, err)
	}
}

// Allocations on a disconnected client never end: the wait is bounded and says so.
func TestAnAllocationThatNeverEnds(t *testing.T) {
	t.Parallel()
	w := healthy(t, strings.Replace(setBroken, "BROKEN", "VALUE", 1)+"rollout \"web\" {\n  strategy = \"restart\"\n  deadline = \"1s\"\n}\n")
	before := w.read()
	a := w.applier()
	a.Nomad = disconnected{w.client}
	run, err := a.Apply(w.ctx(), w.plan())
	if err != nil {
		t.Fatal(err)
	}
	if want := "did not end within 1s: "; !strings.Contains(run.Reason, want) || !strings.Contains(run.Reason, "is unknown, its node nomadtest is disconnected") {
		t.Errorf("%s: %s", run.Result, run.Reason)
	}
	if live := w.live(); w.read() != before || live.State.Stopped {
		t.Errorf("stopped %v, the file:\n%s", live.State.Stopped, w.read())
	}
}

// disconnected is a Nomad whose node is not heard of: allocations that ran before
// are unknown for ever.
type disconnected struct{ *nomad.Client }

func (d disconnected) Allocations(ctx context.Context, id job.ID, index uint64) ([]*api.AllocationListStub, uint64, error) {
	allocs, next, err := d.Client.Allocations(ctx, id, index)
	for _, a := range allocs {
		if a.JobVersion == 0 && a.DesiredStatus != api.AllocDesiredStatusRun {
			a.ClientStatus = api.AllocClientStatusUnknown
		}
	}
	return allocs, next, err
}

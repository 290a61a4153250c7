package reconcile_test

import (
	"context"
	"testing"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/nomad"
)

// dying is a Nomad whose caller dies when it has sent the nth write, which arrives
// only when the test says so.
type dying struct {
	*nomad.Client
	left   int
	arrive func()
}

type killed struct{}

func (d *dying) write(put func(context.Context) (nomad.Registration, error)) (nomad.Registration, error) {
	if d.left--; d.left >= 0 {
		return put(context.Background())
	}
	d.arrive = func() { put(context.Background()) }
	panic(killed{})
}

func (d *dying) Register(_ context.Context, j *api.Job, sub *api.JobSubmission, index uint64) (nomad.Registration, error) {
	return d.write(func(ctx context.Context) (nomad.Registration, error) { return d.Client.Register(ctx, j, sub, index) })
}

func (d *dying) Stop(_ context.Context, live *api.Job, index uint64) (nomad.Registration, error) {
	return d.write(func(ctx context.Context) (nomad.Registration, error) { return d.Client.Stop(ctx, live, index) })
}

// A request of a run that was killed may reach Nomad when the run is settled
// already. It is still the run's own.
func TestARequestThatArrivesAfterTheKill(t *testing.T) {
	for name, tt := range map[string]struct {
		policy string
		write  int    // of the writes, the one on its way
		step   string // of the next run, before which it arrives
	}{
		"register":               {sudoPolicy, 0, "register"},
		"stop":                   {sudoPolicy + restart, 0, "stop"},
		"register after a stop":  {sudoPolicy + restart, 1, "register"},
		"register, while waited": {sudoPolicy + restart, 1, "wait"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.policy)
			w.run()
			p, a, d := w.plan(), w.applier(), &dying{Client: w.client, left: tt.write}
			a.Nomad = d
			func() {
				defer func() {
					if _, ok := recover().(killed); !ok {
						t.Fatal("the run was not killed")
					}
				}()
				_, _ = a.Apply(w.ctx(), p)
			}()
			open := onlyRun(w)
			if !open.Open {
				t.Fatalf("the run is not open: %+v", open)
			}
			again := w.applier()
			again.Progress = func(e reconcile.Event) {
				if e.Step == tt.step && e.Outcome == "" && d.arrive != nil {
					d.arrive()
					d.arrive = nil
				}
			}
			rollout := w.planner().RolloutOf(w.live().Job)
			run, err := again.Settle(w.ctx(), open, rollout, false)
			if err != nil {
				t.Fatal(err)
			}
			if live := w.live(); run.Result != history.Converged || args(live.Job) != "script one" || live.State.Stopped {
				t.Errorf("%s: %s; args %s, stopped %v", run.Result, run.Reason, args(live.Job), live.State.Stopped)
			}
		})
	}
}

// onlyRun is the one run that the history knows.
func onlyRun(w *world) history.Run {
	w.t.Helper()
	runs, err := w.store.Runs(nil)
	if err != nil || len(runs) != 1 {
		w.t.Fatalf("%d runs, %v", len(runs), err)
	}
	return runs[0]
}

package gates

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// after is a gate that passes or fails at a time of its own.
type after struct {
	time time.Duration
	ok   bool
}

func (g after) Check(ctx context.Context, _ Nomad, _ Change) (bool, string) {
	select {
	case <-ctx.Done():
		return false, over(ctx, "nothing yet")
	case <-time.After(g.time):
		return g.ok, fmt.Sprintf("after %s", g.time)
	}
}

// moving is a Nomad whose job becomes another one after a second.
type moving struct {
	fake
	now *api.Job
	err error
}

func (m *moving) WatchJob(ctx context.Context, _ job.ID, index uint64) (*api.Job, uint64, error) {
	if index == 0 {
		return &api.Job{JobModifyIndex: new(uint64(5))}, 1, nil
	}
	wait(ctx, time.Second)
	return m.now, 2, m.err
}

func TestAll(t *testing.T) {
	t.Parallel()
	newer := &moving{now: &api.Job{JobModifyIndex: new(uint64(9)), Version: new(uint64(4))}}
	tests := map[string]struct {
		nomad Nomad
		gates []policies.Gate
		want  string
		newer string
		order string // in which they were told
		took  time.Duration
	}{
		"side by side, told as they come, kept in the order of the file": {
			gates: []policies.Gate{{Name: "a", Spec: after{3 * time.Second, true}}, {Name: "b", Spec: after{time.Second, true}}, {Name: "c", Spec: after{2 * time.Second, true}}},
			want:  "a passed: after 3s, b passed: after 1s, c passed: after 2s", order: "b c a", took: 3 * time.Second,
		},
		"the first failure ends the wait": {
			gates: []policies.Gate{{Kind: "x", Name: "a", Spec: after{time.Minute, true}}, {Kind: "x", Name: "b", Spec: after{time.Second, false}}, {Kind: "x", Name: "c", Spec: after{0, true}}},
			want:  "a cancelled: gate x b failed; until then: nothing yet, b failed: after 1s, c passed: after 0s", order: "c b a", took: time.Second,
		},
		"a newer revision": {
			nomad: newer,
			gates: []policies.Gate{{Name: "a", Spec: after{time.Minute, true}}, {Name: "b", Spec: after{0, true}}},
			want:  "a cancelled: a newer revision of the job (version 4) took over; until then: nothing yet, b passed: after 0s", newer: "a newer revision of the job (version 4) took over", order: "b a", took: time.Second,
		},
		"a newer revision, too late": {
			nomad: newer, gates: []policies.Gate{{Name: "a", Spec: after{0, true}}}, want: "a passed: after 0s", order: "a",
		},
		"stopped meanwhile": {
			nomad: &moving{now: &api.Job{JobModifyIndex: new(uint64(9)), Stop: new(true)}},
			gates: []policies.Gate{{Name: "a", Spec: after{time.Minute, true}}},
			want:  "a cancelled: the job was stopped by somebody else meanwhile; until then: nothing yet", newer: "the job was stopped by somebody else meanwhile", order: "a", took: time.Second,
		},
		"removed meanwhile": {
			nomad: &moving{err: nomad.ErrNotFound},
			gates: []policies.Gate{{Name: "a", Spec: after{time.Minute, true}}},
			want:  "a cancelled: the job was removed from Nomad meanwhile; until then: nothing yet", newer: "the job was removed from Nomad meanwhile", order: "a", took: time.Second,
		},
		"Nomad goes away, which is no verdict": {
			nomad: &moving{err: nomad.ErrUnreachable},
			gates: []policies.Gate{{Name: "a", Spec: after{time.Minute, true}}}, want: "a passed: after 1m0s", order: "a", took: time.Minute,
		},
		"the deadline": {
			gates: []policies.Gate{{Name: "a", Spec: after{time.Hour, true}}, {Name: "b", Spec: after{time.Hour, true}}},
			want:  "a failed: the deadline came; until then: nothing yet, b failed: the deadline came; until then: nothing yet", took: 10 * time.Minute,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				if tt.nomad == nil {
					tt.nomad = &fake{}
				}
				var order []string
				start := time.Now()
				results, newer := All(ctx, tt.nomad, Change{JobModifyIndex: 5}, tt.gates, func(r Result) { order = append(order, r.Name) })
				var got []string
				for _, r := range results {
					got = append(got, r.Name+" "+verdictOf(r))
				}
				if tt.order == "" { // those that end at the same moment
					order = nil
				}
				want := []any{tt.want, tt.newer, tt.order, tt.took}
				if d := cmp.Diff(want, []any{strings.Join(got, ", "), newer, strings.Join(order, " "), time.Since(start)}); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// TestAllInterrupted: nobody is to blame.
func TestAllInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errors.New("interrupt signal received")) })
		results, newer := All(ctx, &fake{}, Change{JobModifyIndex: 5}, []policies.Gate{{Name: "a", Spec: after{time.Minute, true}}}, func(Result) {})
		if got := verdictOf(results[0]); got != "failed: interrupted; until then: nothing yet" || newer != "" {
			t.Errorf("%s, %q", got, newer)
		}
	})
}

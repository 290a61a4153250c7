package history_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"nomad-reconcile/state/history"

	"github.com/google/go-cmp/cmp"
)

// clockwork is a clock that moves when it is told.
type clockwork struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clockwork) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clockwork) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// past is one run of a test: what it was and how it ended.
type past struct {
	result history.Result // empty: left open
	file   bool           // with a backup
	stays  bool
}

var (
	oldConverged = past{history.Converged, true, false}
	oldJobAlone  = past{history.Converged, false, false}
	rolledBack   = past{history.RolledBack, true, false}
	nothingDone  = past{history.Unchanged, false, false}
)

func kept(p past) past {
	p.stays = true
	return p
}

// Whatever number and age say, what is needed to go back stays. Runs stand in the
// order in which they were made, a day apart.
func TestRetention(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		keep int
		age  time.Duration
		runs []past
	}{
		"by number":                            {2, 0, []past{oldConverged, oldConverged, kept(oldConverged), kept(oldConverged)}},
		"by age":                               {20, 36 * time.Hour, []past{oldConverged, oldConverged, kept(oldConverged), kept(oldConverged)}},
		"no age by default":                    {20, 0, []past{kept(oldConverged), kept(nothingDone), kept(nothingDone)}},
		"the number binds before the age":      {1, 1000 * time.Hour, []past{oldConverged, oldConverged, kept(oldConverged)}},
		"the last backup, however old":         {1, time.Hour, []past{oldConverged, kept(oldConverged), nothingDone, nothingDone, kept(nothingDone)}},
		"the last that touched the job":        {1, time.Hour, []past{kept(oldConverged), oldJobAlone, kept(oldJobAlone), nothingDone, kept(nothingDone)}},
		"what was rolled back hides no backup": {1, time.Hour, []past{oldConverged, kept(oldConverged), rolledBack, rolledBack, kept(rolledBack)}},
		"nor a way back of the job alone":      {1, time.Hour, []past{kept(oldConverged), kept(oldJobAlone), rolledBack, kept(rolledBack)}},
		"failed can be gone back from":         {1, time.Hour, []past{oldConverged, {history.Failed, true, true}, kept(rolledBack)}},
		"what touched nothing hides no backup": {1, time.Hour, []past{kept(oldConverged), {history.Unchanged, true, false}, {history.Unchanged, true, true}}},
		"open runs":                            {1, time.Hour, []past{{"", true, true}, kept(oldConverged), nothingDone, kept(nothingDone)}},
	}
	for name, tt := range tests {
		for _, how := range []string{"Close", "Prune"} {
			t.Run(name+", by "+how, func(t *testing.T) {
				t.Parallel()
				clock := &clockwork{now: start}
				dir := t.TempDir()
				s, limited := open(t, dir, 1000, clock.time), open(t, dir, tt.keep, clock.time)
				limited.KeepFor(tt.age)
				if how == "Close" {
					s = limited
				}
				var want []string
				for i, p := range tt.runs {
					if i > 0 {
						clock.pass(24 * time.Hour)
					}
					if id := p.make(t, s); p.stays {
						want = append(want, id)
					}
				}
				if how == "Prune" {
					must(t, limited.Prune(t.Context()))
				}
				checkRuns(t, limited, want)
			})
		}
	}
}

func (p past) make(t *testing.T, s *history.Store) string {
	t.Helper()
	run := planned()
	if !p.file {
		run.NewFile = ""
	}
	j := begin(t, s, run)
	if p.result == "" {
		must(t, j.Abandon())
	} else {
		must(t, j.Close(p.result, "", 0))
	}
	return j.Run().ID
}

// checkRuns: these are there, the oldest first, and what they need to go back.
func checkRuns(t *testing.T, s *history.Store, want []string) {
	t.Helper()
	runs, err := s.Runs(nil)
	must(t, err)
	var got []string
	for _, run := range slices.Backward(runs) {
		got = append(got, run.ID)
		checkLoaded(t, s, run.ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A job that is not run any more loses its old runs too, but not while somebody
// works on it.
func TestPruneOtherJobs(t *testing.T) {
	t.Parallel()
	clock := &clockwork{now: start}
	s := open(t, t.TempDir(), 20, clock.time)
	s.KeepFor(time.Hour)
	nothingDone.make(t, s)
	busy := planned()
	busy.Job.Name = "busy"
	j := begin(t, s, busy)
	must(t, j.Close(history.Unchanged, "", 0))
	j = begin(t, s, busy)
	must(t, j.Close(history.Held, "", 0))
	clock.pass(2 * time.Hour)
	unlock, err := s.Lock(t.Context(), busy.Job)
	must(t, err, s.Prune(t.Context()))
	runs, err := s.Runs(nil)
	must(t, err)
	if len(runs) != 2 {
		t.Errorf("%d runs, want both of the job that is worked on: %v", len(runs), runs)
	}
	unlock()
	must(t, s.Prune(t.Context()))
	checkRuns(t, s, []string{j.Run().ID}) // the last with a backup
}

package history_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"

	"github.com/google/go-cmp/cmp"
)

func suspensions(t *testing.T, s *history.Store) []history.Suspension {
	t.Helper()
	out, err := s.Suspensions()
	must(t, err)
	return out
}

func TestSuspend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := &clockwork{now: start}
	s := open(t, dir, 20, clock.time)
	if got := suspensions(t, s); len(got) != 0 {
		t.Fatalf("at first: %v", got)
	}
	must(t, s.Suspend(
		history.Suspension{Reason: "freeze", By: "bo"},
		history.Suspension{Job: "web", Reason: "moving, password=hunter2", By: "ana", Until: start.Add(time.Hour)},
		history.Suspension{Job: "api@prod", Reason: "x"},
	))
	want := []history.Suspension{
		{Job: "api@prod", Reason: "x", Since: start},
		{Job: "web", Reason: "moving, password=" + job.Redacted, By: "ana", Since: start, Until: start.Add(time.Hour)},
		{Reason: "freeze", By: "bo", Since: start},
	}
	other := open(t, dir, 20, clock.time) // another process
	if d := cmp.Diff(want, suspensions(t, other)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	clock.pass(time.Minute)
	must(t, other.Suspend(history.Suspension{Job: "web", Reason: "again"}))
	want[1] = history.Suspension{Job: "web", Reason: "again", Since: start.Add(time.Minute)}
	if d := cmp.Diff(want, suspensions(t, s)); d != "" {
		t.Errorf("suspended again (-want +got):\n%s", d)
	}
	ended, err := s.Unsuspend("web", "nobody", "api")
	must(t, err)
	if d := cmp.Diff(want[1:2], ended); d != "" {
		t.Errorf("resumed (-want +got):\n%s", d)
	}
	ended, err = s.Unsuspend("")
	must(t, err)
	if d := cmp.Diff(want[2:], ended) + cmp.Diff(want[:1], suspensions(t, s)); d != "" {
		t.Errorf("all resumed (-want +got):\n%s", d)
	}
	info, err := os.Stat(s.SuspendedFile())
	must(t, err)
	if info.Mode() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSuspensionEnds(t *testing.T) {
	t.Parallel()
	clock := &clockwork{now: start}
	s := open(t, t.TempDir(), 20, clock.time)
	must(t, s.Suspend(history.Suspension{Job: "web", Reason: "x", Until: start.Add(time.Hour)}))
	clock.pass(time.Hour - 1)
	if len(suspensions(t, s)) != 1 {
		t.Error("it has ended too early")
	}
	clock.pass(1)
	if got := suspensions(t, s); len(got) != 0 {
		t.Errorf("it has not ended: %v", got)
	}
	ended, err := s.Unsuspend("web")
	must(t, err)
	if len(ended) != 0 {
		t.Errorf("what has ended is resumed: %v", ended)
	}
}

func TestSuspensionHolds(t *testing.T) {
	t.Parallel()
	web, prod := job.ID{Namespace: "default", Name: "web"}, job.ID{Namespace: "prod", Name: "web"}
	for name, want := range map[string][2]bool{
		"": {true, true}, "web": {true, true}, "web@default": {true, false}, "web@prod": {false, true}, "we": {}, "api": {},
	} {
		s := history.Suspension{Job: name}
		if got := [2]bool{s.Holds(web), s.Holds(prod)}; got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	if !(history.Suspension{Job: "web@default"}).Holds(job.ID{Name: "web"}) {
		t.Error("a job without a namespace is in the default one")
	}
}

// Who is suspended is not known then, and nobody is taken to be free.
func TestSuspensionsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{", `{"job":"web"}`, `[{"until":"tomorrow"}]`} {
		s := open(t, t.TempDir(), 20, fixed)
		must(t, os.WriteFile(s.SuspendedFile(), []byte(text), 0o600))
		_, err := s.Suspensions()
		_, ended := s.Unsuspend("web")
		for _, err := range []error{err, ended, s.Suspend(history.Suspension{Job: "web", Reason: "x"})} {
			if err == nil || !strings.Contains(err.Error(), s.SuspendedFile()) {
				t.Errorf("%q: %v", text, err)
			}
		}
		if data, _ := os.ReadFile(s.SuspendedFile()); string(data) != text {
			t.Errorf("%q was overwritten: %q", text, data)
		}
	}
}

// Of many that suspend at once, none loses what another did.
func TestSuspendAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all sync.WaitGroup
	for i := range 20 {
		s := open(t, dir, 20, time.Now)
		all.Go(func() {
			if err := s.Suspend(history.Suspension{Job: fmt.Sprint(i), Reason: "x"}); err != nil {
				t.Error(err)
			}
			if _, err := s.Suspensions(); err != nil { // never half a file
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got := suspensions(t, open(t, dir, 20, time.Now)); len(got) != 20 {
		t.Errorf("%d are left of 20", len(got))
	}
}

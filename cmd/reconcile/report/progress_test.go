package report_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

func TestProgressLines(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := report.NewProgress(&b, report.Style{}, false)
	p.Event(reconcile.Event{Job: id("orchestrator"), Step: "stop"})
	p.Event(reconcile.Event{Job: id("orchestrator"), Step: "stop", Outcome: history.OK, Duration: 1234 * time.Millisecond, Detail: "version 3"})
	p.Event(reconcile.Event{Job: id("orchestrator"), Step: "backup", Outcome: history.OK, Detail: "b"})
	p.Event(reconcile.Event{Job: id("orchestrator"), Step: "gate logs x", Outcome: history.NotOK, Duration: 15 * time.Second, Detail: "\x1b[31msudo:\nsorry"})
	p.Close()
	p.Close()
	want := "orchestrator: stop ok (1.2s) version 3\n" +
		"orchestrator: backup ok b\n" +
		"orchestrator: gate logs x failed (15s) \\u001b[31msudo: sorry\n"
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Error(d)
	}
}

// On a terminal the line is rewritten each second, and taken away at the end.
func TestProgressLive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		p := report.NewProgress(&b, report.Style{Width: 50}, true)
		p.Event(reconcile.Event{Job: id("web"), Step: "wait"})
		time.Sleep(2500 * time.Millisecond)
		p.Event(reconcile.Event{Job: id("api"), Step: strings.Repeat("很长", 30)})
		p.Event(reconcile.Event{Job: id("web"), Step: "wait", Outcome: history.OK, Duration: 2500 * time.Millisecond, Detail: "all ended"})
		p.Close()
		long := "api: " + strings.Repeat("很长", 8) + "很..."
		want := []string{
			"web: wait ... 0s", "web: wait ... 1s", "web: wait ... 2s", "web: wait ... 2s  (and 1 more)",
			"web: wait ok (2.5s) all ended\n", long + " ... 0s", "",
		}
		if d := cmp.Diff(want, strings.Split(b.String(), "\r\x1b[K")[1:]); d != "" {
			t.Error(d)
		}
	})
}

func TestProgressConcurrently(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := report.NewProgress(&b, report.Style{}, true)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			e := reconcile.Event{Job: id(fmt.Sprint("job-", i)), Step: "register"}
			p.Event(e)
			e.Outcome = history.OK
			p.Event(e)
		})
	}
	wg.Wait()
	p.Close()
	for i := range 8 {
		if want := fmt.Sprintf("\r\x1b[Kjob-%d: register ok\n", i); !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in %q", want, b.String())
		}
	}
}

package gates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"
)

// window is what a logs gate has seen so far.
type window struct {
	*logs
	missing map[string][]*regexp.Regexp // by allocation
	unread  map[stream]error            // why a stream is not open; nil: no answer yet
	partial map[stream]string           // a last line that has no end yet
	seen    string
}

// Check reads the streams until one decides or the window ends; nothing that it
// started outlives it.
func (l *logs) Check(ctx context.Context, n Nomad, c Change) (bool, string) {
	allocs, err := Fresh(ctx, n, c)
	if err != nil {
		return false, err.Error()
	}
	w := l.open(allocs, c.Job)
	if len(w.unread) == 0 {
		return l.nothingToRead(c.Job)
	}
	ctx, cancel := context.WithCancel(ctx)
	var tails sync.WaitGroup
	defer tails.Wait()
	defer cancel()
	events := make(chan event)
	for s := range w.unread {
		tails.Go(func() { tail(ctx, n, s, events) })
	}
	return w.watch(ctx, n, events)
}

// open lists what there is to read; nothing of it has been read.
func (l *logs) open(allocs []*api.AllocationListStub, j *api.Job) *window {
	w := &window{logs: l, missing: map[string][]*regexp.Regexp{}, unread: map[stream]error{}, partial: map[stream]string{}}
	for _, a := range allocs {
		for _, task := range l.tasks(a, j) {
			w.missing[a.ID] = slices.Clone(l.require)
			for _, name := range []string{"stdout", "stderr"} {
				w.unread[stream{a.ID, task, name}] = nil
			}
		}
	}
	return w
}

func (l *logs) nothingToRead(j *api.Job) (bool, string) {
	if why, nothing := nothingToRun(j); nothing {
		return true, why
	}
	if l.task != "" {
		return false, fmt.Sprintf("there is no allocation of task %s to read the logs of", l.task)
	}
	return false, "there is no allocation to read the logs of"
}

// tasks are those of the allocation that the gate reads. The job names them: an
// allocation that no client has taken up yet has no states. A poststop task says
// nothing before its allocation ends, so only a gate that names it waits for it.
func (l *logs) tasks(a *api.AllocationListStub, j *api.Job) []string {
	var names []string
	for _, g := range j.TaskGroups {
		if value(g.Name) != a.TaskGroup {
			continue
		}
		for _, t := range g.Tasks {
			last := t.Lifecycle != nil && t.Lifecycle.Hook == api.TaskLifecycleHookPoststop
			if t.Name == l.task || l.task == "" && !last {
				names = append(names, t.Name)
			}
		}
	}
	return names
}

func (w *window) watch(ctx context.Context, n Nomad, events <-chan event) (bool, string) {
	end := time.NewTimer(w.window)
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, over(ctx, "") + " before the log window ended"
		case <-end.C:
			if says, detail := w.readUnopened(ctx, n); says != waiting {
				return says == passed, detail
			}
			return w.atEnd()
		case e := <-events:
			if says, detail := w.take(e); says != waiting {
				return says == passed, detail
			}
		}
	}
}

// take is the verdict after one event.
func (w *window) take(e event) (verdict, string) {
	switch e.kind {
	case opened:
		delete(w.unread, e.stream)
	case lost:
		w.unread[e.stream] = e.err
	case refused:
		return failed, fmt.Sprintf("reading %s: %v", e.stream, e.err)
	case partial:
		w.partial[e.stream] = e.text
	case line:
		return w.line(e.stream, e.text)
	}
	return waiting, ""
}

func (w *window) line(s stream, text string) (verdict, string) {
	if re := match(w.forbid, text); re != nil {
		return failed, fmt.Sprintf("forbidden %q in %s of task %s, allocation %s: %s", re, s.name, s.task, short(s.alloc), clip(text))
	}
	if match(w.missing[s.alloc], text) != nil {
		w.seen = fmt.Sprintf("allocation %s said: %s", short(s.alloc), clip(text))
		w.missing[s.alloc] = slices.DeleteFunc(w.missing[s.alloc], func(m *regexp.Regexp) bool { return m.MatchString(text) })
	}
	if len(w.forbid) == 0 && nothingMissing(w.missing) {
		return passed, w.seen
	}
	return waiting, ""
}

// readUnopened reads once, without following, what has not answered: a follow
// of an empty log may be silent for longer than the window.
func (w *window) readUnopened(ctx context.Context, n Nomad) (verdict, string) {
	ctx, cancel := context.WithTimeout(ctx, lastRead)
	defer cancel()
	for _, s := range slices.SortedFunc(maps.Keys(w.unread), stream.compare) {
		text, err := readAll(ctx, n, s)
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			w.unread[s] = cmp.Or(w.unread[s], err)
			continue
		}
		delete(w.unread, s)
		for l := range strings.Lines(text) {
			if says, detail := w.line(s, ended([]byte(l))); says != waiting {
				return says, detail
			}
		}
	}
	return waiting, ""
}

func (w *window) atEnd() (bool, string) {
	for _, s := range slices.SortedFunc(maps.Keys(w.partial), stream.compare) {
		if says, detail := w.line(s, w.partial[s]); says == failed {
			return false, detail
		}
	}
	for _, alloc := range slices.Sorted(maps.Keys(w.missing)) {
		if m := w.missing[alloc]; len(m) > 0 {
			detail := fmt.Sprintf("%q was not seen within %s in allocation %s", m[0], w.window, short(alloc))
			return false, strings.TrimSuffix(detail+"; "+w.unreadable(alloc), "; ")
		}
	}
	if why := w.unreadable(""); why != "" && len(w.forbid) > 0 {
		return false, "cannot tell: " + why
	}
	return true, cmp.Or(w.seen, fmt.Sprintf("nothing forbidden within %s", w.window))
}

// unreadable says which stream of the allocation, or of any for "", could not be
// read; empty if there is none.
func (w *window) unreadable(alloc string) string {
	for _, s := range slices.SortedFunc(maps.Keys(w.unread), stream.compare) {
		if alloc != "" && s.alloc != alloc {
			continue
		}
		why := fmt.Sprintf("no answer within %s", w.window)
		if err := w.unread[s]; err != nil {
			why = err.Error()
		}
		return fmt.Sprintf("%s could not be read: %s", s, why)
	}
	return ""
}

func nothingMissing(missing map[string][]*regexp.Regexp) bool {
	for _, m := range missing {
		if len(m) > 0 {
			return false
		}
	}
	return true
}

func match(patterns []*regexp.Regexp, text string) *regexp.Regexp {
	for _, re := range patterns {
		if re.MatchString(text) {
			return re
		}
	}
	return nil
}

func clip(s string) string {
	runes := []rune(strings.TrimSpace(s))
	if len(runes) > 200 {
		return string(runes[:200]) + "..."
	}
	return string(runes)
}

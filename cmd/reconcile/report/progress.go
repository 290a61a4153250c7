package report

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// Progress shows the steps of runs as they begin and end: on a terminal the
// current line tells for how long the present step has been going on, elsewhere
// each step is one line when it has ended.
type Progress struct {
	mu      sync.Mutex
	w       io.Writer
	s       Style
	live    bool
	current []begun // steps that have begun and not ended, the oldest first
	done    chan struct{}
	stopped sync.WaitGroup
}

type begun struct {
	event reconcile.Event
	since time.Time
}

// NewProgress starts showing; live says that w is a terminal whose current line
// can be rewritten. Close must be called.
func NewProgress(w io.Writer, s Style, live bool) *Progress {
	p := &Progress{w: w, s: s, live: live, done: make(chan struct{})}
	if p.s.Width <= 0 {
		p.s.Width = 80 // a line that is rewritten must not be longer than the terminal
	}
	if live {
		p.stopped.Go(p.tick)
	}
	return p
}

func (p *Progress) tick() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		}
	}
}

// Event takes note of a step. Several goroutines may call it at once.
func (p *Progress) Event(e reconcile.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Outcome == "" {
		p.current = append(p.current, begun{e, time.Now()})
	} else {
		p.current = slices.DeleteFunc(p.current, func(b begun) bool { return b.event.Job == e.Job && b.event.Step == e.Step })
		p.clear()
		fmt.Fprintln(p.w, p.ended(e))
	}
	p.draw()
}

// Close ends the showing and leaves no half line. It may be called twice.
func (p *Progress) Close() {
	p.mu.Lock()
	select {
	case <-p.done:
		p.mu.Unlock()
		return
	default:
	}
	close(p.done)
	p.current = nil
	p.clear()
	p.mu.Unlock()
	p.stopped.Wait()
}

const clearLine = "\r\x1b[K"

func (p *Progress) clear() {
	if p.live {
		fmt.Fprint(p.w, clearLine)
	}
}

// draw rewrites the current line: the oldest step, and how many others go on.
func (p *Progress) draw() {
	if !p.live || len(p.current) == 0 {
		return
	}
	now := p.current[0]
	tail := fmt.Sprintf(" ... %ds", int(time.Since(now.since).Seconds()))
	if more := len(p.current) - 1; more > 0 {
		tail += fmt.Sprintf("  (and %d more)", more)
	}
	text := fmt.Sprintf("%s: %s", printable(now.event.Job.String()), printable(now.event.Step))
	text = clip(text, max(p.s.Width-1-len(tail), 10))
	fmt.Fprint(p.w, clearLine+text+p.s.paint(dim, tail))
}

// ended is "web: stop ok (1.2s) version 3".
func (p *Progress) ended(e reconcile.Event) string {
	color := green
	switch e.Outcome {
	case history.NotOK:
		color = red
	case history.Skipped, history.Cancelled:
		color = dim
	}
	text := fmt.Sprintf("%s: %s %s", printable(e.Job.String()), printable(e.Step), p.s.paint(color, string(e.Outcome)))
	if e.Duration >= time.Millisecond {
		text += p.s.paint(dim, fmt.Sprintf(" (%s)", shortly(e.Duration)))
	}
	if e.Detail != "" {
		text += " " + clean(e.Detail, e.Job.String(), e.Job.Name)
	}
	return text
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"nomad-reconcile/cmd/reconcile/report"
)

// How often -watch asks an agent, which answers at once that nothing has changed, and
// how often it works everything out itself, which asks Nomad.
const (
	askEvery  = time.Second
	workEvery = 30 * time.Second
)

// watching is what -watch has shown.
type watching struct {
	*statusSource
	last   told
	before *report.Status // what the last lines told of
	worked time.Time      // when it was last worked out here; zero while there is an agent
	drawn  bool
}

// watch shows the status until it is interrupted, which is its proper end. What goes
// wrong at first ends it; what goes wrong later may pass.
func (in *invocation) watch(ctx context.Context, source *statusSource) int {
	w := &watching{statusSource: source}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		now, err := w.next(ctx)
		switch {
		case ctx.Err() != nil:
			return w.end()
		case err != nil && first:
			in.printErr("%s", now.said)
			return in.refuse(err)
		case err != nil:
			w.trouble(err)
		default:
			if now.news {
				w.last = now
			}
			if err := w.show(ctx, now.news); err != nil {
				return in.refuse(err)
			}
		}
		select {
		case <-ctx.Done():
			return w.end()
		case <-tick.C:
		}
	}
}

// end leaves what was drawn last, and a line for what the shell says.
func (w *watching) end() int {
	if w.drawn {
		w.print("\x1b[K\n")
	}
	return exitOK
}

// next asks the agent or, where there is none, works it out if that is due.
func (w *watching) next(ctx context.Context) (told, error) {
	s, err := w.askAgent(ctx)
	if !errors.Is(err, errNoAgent) {
		w.worked = time.Time{}
		return s, err
	}
	w.agent.tag = "" // the next agent's tags are others
	if now := w.now(); w.worked.IsZero() || now.Sub(w.worked) >= workEvery {
		w.worked = now
		s, err := w.workOut(ctx)
		if err == nil {
			s.news = w.last.doc.Agent != nil || s.said != w.last.said || !same(s.doc, w.last.doc)
		}
		return s, err
	}
	return told{}, nil
}

// same: nothing but the moment at which it was worked out is another.
func same(a, b report.Status) bool {
	return bytes.Equal(timeless(a), timeless(b))
}

func timeless(d report.Status) []byte {
	jobs := append([]report.StatusJob(nil), d.Jobs...)
	for i := range jobs {
		jobs[i].Looked = nil
	}
	d.Jobs = jobs
	text, _ := json.Marshal(d) // of numbers and texts
	return text
}

// show rewrites the screen each time, since ages grow; elsewhere it tells what is new.
func (w *watching) show(ctx context.Context, news bool) error {
	switch {
	case w.json && news:
		return report.Line(w.stdout, w.last.doc)
	case w.json:
		return nil
	case w.onScreen():
		return w.draw(ctx)
	case news:
		w.printErr("%s%s", w.last.said, w.whoTells())
		doc := w.last.doc
		report.StatusChanges(w.stdout, w.before, doc, w.out)
		w.before = &doc
	}
	return nil
}

// whoTells is said when it is another than before.
func (w *watching) whoTells() string {
	alone := w.last.doc.Agent == nil
	switch {
	case alone && (w.before == nil || w.before.Agent != nil):
		return fmt.Sprintf("No agent is running: this is worked out here, every %s.\n", workEvery)
	case !alone && w.before != nil && w.before.Agent == nil:
		return "An agent is running, and is asked from now on.\n"
	}
	return ""
}

func (w *watching) trouble(err error) {
	if !w.json && w.onScreen() {
		var b bytes.Buffer
		report.Error(&b, err, w.out)
		w.last.said = b.String()
		return
	}
	w.fail(err)
}

// onScreen: the terminal can be rewritten.
func (w *watching) onScreen() bool {
	f, ok := w.stdout.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && w.getenv("TERM") != "dumb"
}

// draw puts the page in the place of the one before, as much of it as fits.
func (w *watching) draw(ctx context.Context) error {
	width, height := w.screen()
	var b bytes.Buffer
	in, sh := *w.invocation, *w.shell
	sh.stdout, sh.out.Width, in.shell = &b, width, &sh
	if err := in.showStatus(ctx, w.statusSource, w.last); err != nil {
		return err
	}
	b.WriteString(w.last.said)
	var out strings.Builder
	if !w.drawn {
		out.WriteString("\x1b[2J")
		w.drawn = true
	}
	out.WriteString("\x1b[H")
	for _, line := range fitting(strings.Split(strings.TrimRight(b.String(), "\n"), "\n"), height-1) {
		out.WriteString(line + "\x1b[K\n")
	}
	out.WriteString("^C ends this.\x1b[K\x1b[J\r")
	w.print("%s", out.String())
	return nil
}

// fitting are as many lines as there is room for, the last one, which sums up, always
// among them.
func fitting(lines []string, room int) []string {
	if room < 3 || len(lines) <= room {
		return lines
	}
	left := fmt.Sprintf("... and %d more lines, for a taller terminal", len(lines)-room+1)
	return append(lines[:room-2:room-2], left, lines[len(lines)-1])
}

// screen is how large the terminal is now; some do not know.
func (sh *shell) screen() (width, height int) {
	if f, ok := sh.stdout.(*os.File); ok {
		width, height, _ = term.GetSize(int(f.Fd()))
	}
	return cmp.Or(width, 80), cmp.Or(height, 24)
}

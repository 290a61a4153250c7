package gates

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"nomad-reconcile/state/job"
)

// How long and how often a gate asks, where its block does not say.
const (
	defaultWithin   = 30 * time.Second
	defaultInterval = time.Second
	defaultTimeout  = 10 * time.Second
)

// patience is how a gate asks again: every interval, each time for timeout at
// most, until within is over.
type patience struct{ within, interval, timeout time.Duration }

func (a *attributes) patience() patience {
	return patience{a.duration("within", defaultWithin), a.duration("interval", defaultInterval), a.duration("timeout", defaultTimeout)}
}

// until asks until the answer is yes. What was seen last is told in any case.
func (p patience) until(ctx context.Context, ask func(context.Context) (ok bool, saw string)) (bool, string) {
	asking, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	last := ""
	for asking.Err() == nil {
		once, done := context.WithTimeout(asking, p.timeout)
		ok, saw := ask(once)
		done()
		if ok {
			return true, saw
		}
		if ctx.Err() == nil && (last == "" || asking.Err() == nil) { // one that was cut short saw nothing
			last = saw
		}
		wait(asking, p.interval)
	}
	return false, gaveUp(ctx, p.within, last)
}

// gaveUp says why a gate stopped to ask, and what it saw last.
func gaveUp(ctx context.Context, within time.Duration, last string) string {
	if ctx.Err() == nil {
		return fmt.Sprintf("not within %s: %s", within, last)
	}
	return over(ctx, last)
}

// over says why ctx ended, and what was seen until then.
func over(ctx context.Context, last string) string {
	why := "interrupted"
	if stop, ok := errors.AsType[*stopError](context.Cause(ctx)); ok {
		why = stop.Error()
	} else if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		why = "the deadline came"
	}
	if last == "" {
		return why
	}
	return why + "; until then: " + last
}

// stopError ends gates that need not be waited for any more.
type stopError struct{ why string }

// Error says why.
func (e *stopError) Error() string { return e.why }

// shown is the most of an answer's text that is told.
const shown = 200

// excerpt is the beginning of an answer in one line, without secrets.
func excerpt(text string) string {
	text = job.RedactCode(strings.ToValidUTF8(text[:min(len(text), 20*shown)], "\uFFFD"))
	return clip(strings.Join(strings.Fields(text), " "))
}

package gates

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"nomad-reconcile/state/nomad"
)

// stream is one log of one task.
type stream struct{ alloc, task, name string }

func (s stream) String() string {
	return fmt.Sprintf("%s of task %s in allocation %s", s.name, s.task, short(s.alloc))
}

func (s stream) compare(o stream) int {
	return cmp.Or(cmp.Compare(s.alloc, o.alloc), cmp.Compare(s.task, o.task), cmp.Compare(s.name, o.name))
}

// event is what happened to a stream.
type event struct {
	stream
	kind eventKind
	text string
	err  error
}

type eventKind int

const (
	opened  eventKind = iota
	line              // text is one whole line
	partial           // text is a last line that may grow
	lost              // it cannot be read now, err says why; it is tried again
	refused           // it never will be, err says why
)

// retryPause is the wait before a stream is asked for again.
const retryPause = 200 * time.Millisecond

// tail tells all of one stream until ctx ends. A log that is not there yet, or a
// stream that was cut, is asked for again, from its start: to judge a line twice
// does no harm, and a log that was rotated in between has other line numbers.
func tail(ctx context.Context, n Nomad, s stream, out chan<- event) {
	send := func(kind eventKind, text string, err error) {
		select {
		case out <- event{s, kind, text, err}:
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		err := tailOnce(ctx, n, s, send)
		switch {
		case err == nil:
		case !passing(err):
			send(refused, "", err)
			return
		default:
			send(lost, "", err)
		}
		wait(ctx, retryPause)
	}
}

// passing: a fault that the next try may not meet.
func passing(err error) bool {
	_, isNet := errors.AsType[net.Error](err)
	return isNet || errors.Is(err, nomad.ErrNotFound) || errors.Is(err, nomad.ErrUnreachable) || errors.Is(err, io.ErrUnexpectedEOF)
}

func tailOnce(ctx context.Context, n Nomad, s stream, send func(eventKind, string, error)) error {
	r, err := n.Logs(ctx, s.alloc, s.task, s.name, true)
	if err != nil {
		return err
	}
	defer r.Close()
	send(opened, "", nil)
	var rest []byte
	buf := make([]byte, 32<<10)
	for ctx.Err() == nil {
		size, err := r.Read(buf)
		rest = lines(append(rest, buf[:size]...), func(text string) { send(line, text, nil) })
		if size > 0 {
			send(partial, ended(rest), nil)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lastRead bounds the reads after the window; allLog what one of them takes.
const (
	lastRead = 5 * time.Second
	allLog   = 16 << 20
)

func readAll(ctx context.Context, n Nomad, s stream) (string, error) {
	r, err := n.Logs(ctx, s.alloc, s.task, s.name, false)
	if err != nil {
		return "", err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, allLog))
	return string(text), err
}

// maxLine bounds what one line may hold in memory; the rest of it is a line of
// its own.
const maxLine = 64 << 10

// lines yields the whole lines of the text and gives back what follows them.
func lines(text []byte, yield func(string)) []byte {
	for {
		end := bytes.IndexByte(text[:min(len(text), maxLine)], '\n') + 1
		if end == 0 && len(text) >= maxLine {
			end = maxLine
		}
		if end == 0 {
			return text
		}
		yield(ended(text[:end]))
		text = text[end:]
	}
}

func ended(text []byte) string { return string(bytes.TrimRight(text, "\r\n")) }

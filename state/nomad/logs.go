package nomad

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"
)

// tailBytes is how much of a log's end Tail reads.
const tailBytes = 16 << 10

// Logs is a task's stdout or stderr from its start; with follow it goes on until
// it is closed or ctx ends, also past the end of the task. A stream that was cut is
// io.ErrUnexpectedEOF, a refusal in mid-stream says its reason. A task that has
// not started yet matches ErrNotFound.
func (c *Client) Logs(ctx context.Context, alloc, task, stream string, follow bool) (io.ReadCloser, error) {
	return c.logs(ctx, alloc, task, stream, follow, "start", 0)
}

// Tail is the last lines of a task's stdout or stderr, oldest first, of the last
// 16 KiB.
func (c *Client) Tail(ctx context.Context, alloc, task, stream string, lines int) ([]string, error) {
	limited, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	r, err := c.logs(limited, alloc, task, stream, false, "end", tailBytes)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, tailBytes))
	if err != nil {
		return nil, err
	}
	return lastLines(text, lines), nil
}

func lastLines(text []byte, n int) []string {
	whole := len(text) < tailBytes
	all := strings.Split(strings.TrimRight(string(bytes.ToValidUTF8(text, []byte("\uFFFD"))), "\r\n"), "\n")
	if !whole && len(all) > 1 {
		all = all[1:] // begins in the middle of a line
	}
	if len(all) == 1 && all[0] == "" {
		return nil
	}
	return all[max(len(all)-n, 0):]
}

func (c *Client) logs(ctx context.Context, alloc, task, stream string, follow bool, origin string, offset int64) (io.ReadCloser, error) {
	what := call{
		name:      "logs_read",
		op:        fmt.Sprintf("reading the %s of task %q in allocation", stream, task),
		subject:   alloc,
		namespace: allNamespaces,
		needs:     "read-logs",
		read:      true,
	}
	ctx, cancel := context.WithCancel(ctx)
	q := &api.QueryOptions{Namespace: what.namespace, Params: map[string]string{
		"task":   task,
		"type":   stream,
		"follow": strconv.FormatBool(follow),
		"origin": origin,
		"offset": strconv.FormatInt(offset, 10),
	}}
	asked := time.Now()
	body, err := c.api.Raw().Response("/v1/client/fs/logs/"+alloc, q.WithContext(ctx))
	if err := c.answered(ctx, what, asked, err); err != nil {
		cancel()
		return nil, err
	}
	return &logReader{what: what, cancel: cancel, body: body, frames: json.NewDecoder(body), follow: follow}, nil
}

// logReader makes plain text of Nomad's frames. Frames, unlike plain text, tell an
// error of the server from a line of the log.
type logReader struct {
	what   call
	cancel context.CancelFunc
	body   io.ReadCloser
	frames *json.Decoder
	follow bool
	closed atomic.Bool
	rest   []byte
}

// Read gives the next text of the log.
func (r *logReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		var frame api.StreamFrame
		if err := r.frames.Decode(&frame); err != nil {
			return 0, r.ended(err)
		}
		r.rest = frame.Data
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// ended says why there are no more frames.
func (r *logReader) ended(err error) error {
	if r.closed.Load() || errors.Is(err, io.EOF) && !r.follow {
		return io.EOF
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		text, _ := io.ReadAll(io.LimitReader(r.frames.Buffered(), 1<<10))
		return &Error{Op: r.what.op, Subject: r.what.subject, Err: fmt.Errorf("ended by Nomad: %s", bytes.TrimSpace(text))}
	}
	if errors.Is(err, io.EOF) { // Nomad itself never ends a follow
		err = io.ErrUnexpectedEOF
	}
	return &Error{Op: r.what.op, Subject: r.what.subject, Hint: "the connection to Nomad was cut: try again", Err: err}
}

// Close ends the stream, also for a Read that waits: it gets io.EOF.
func (r *logReader) Close() error {
	r.closed.Store(true)
	r.cancel()
	return r.body.Close()
}

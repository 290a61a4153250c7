package nomad

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/state/job"
)

const (
	// silence is how long a stream may say nothing: Nomad sends a heartbeat every
	// 30 seconds, of which two may be lost.
	silence = 95 * time.Second
	// fromNow is past every index. Nomad takes 0 for the oldest event that it keeps.
	fromNow = math.MaxInt64
)

// Batch is what one line of an event stream says.
type Batch struct {
	Index  uint64   // to follow from after a break; 0 while nothing has happened since "now"
	Jobs   []job.ID // that something happened to, each once; none in a heartbeat
	Opened bool     // the first: from now on events come
}

// Follow tells each what happens to the jobs of the namespaces, their evaluations,
// allocations and deployments, until the stream breaks, is refused or falls silent
// (an Error) or ctx ends (its error). It does not open the stream again. each is
// called by one goroutine at a time, and nothing is read while it runs.
//
// Events from index on are told: those of the index itself may be known already, as
// Nomad gives several batches the same one. An index of 0 is now, but for the newest
// event that there is, which may be told too. Nomad keeps the last hundred batches:
// who comes with an older index is not told that some are missing, and so looks at
// all jobs again. Children of periodic and parameterized jobs have their own IDs.
//
// The namespace "*" is one stream of all that exist when it is opened, and needs
// read-job in each. Otherwise each namespace has a stream of its own; the first that
// ends ends all. Batch.Index is then the lowest of theirs.
func (c *Client) Follow(ctx context.Context, namespaces []string, index uint64, each func(Batch)) error {
	namespaces = oneEach(namespaces)
	t := newTeller(each, index, len(namespaces))
	g, following := errgroup.WithContext(ctx)
	for i, ns := range namespaces {
		g.Go(func() error {
			s, err := c.openEvents(following, ns, index)
			if err != nil {
				return err
			}
			defer s.close()
			if err := t.opened(following); err != nil {
				return err
			}
			return s.tell(following, func(l eventLine) { t.tell(i, ns, l) })
		})
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// eventLine is a line of the stream without what the events carry: only names are
// wanted, and whole jobs are long and may hold secrets.
type eventLine struct {
	Index  uint64
	Events []struct {
		Topic, Key, Namespace string
		FilterKeys            []string
	}
}

// jobs are those that the events of a line are about. The key of an event is a job's
// ID or, for what belongs to a job, is accompanied by one, the first of the others.
func (l eventLine) jobs(ns string) []job.ID {
	var out []job.ID
	seen := map[job.ID]bool{}
	for _, e := range l.Events {
		id := job.ID{Namespace: e.Namespace, Name: e.Key}
		if e.Topic != string(api.TopicJob) {
			id.Name = ""
			if len(e.FilterKeys) > 0 {
				id.Name = e.FilterKeys[0]
			}
		}
		if id.Namespace == "" {
			id.Namespace = ns
		}
		if id.Name != "" && !seen[id] {
			seen[id] = true
			out = append(out, id)
		}
	}
	return out
}

// teller puts several streams into one order.
type teller struct {
	mu    sync.Mutex
	each  func(Batch)
	at    []uint64 // by stream; 0 until it knows one
	shut  int      // streams that are not open yet
	ready chan struct{}
}

func newTeller(each func(Batch), index uint64, streams int) *teller {
	t := &teller{each: each, at: make([]uint64, streams), shut: streams, ready: make(chan struct{})}
	for i := range t.at {
		t.at[i] = index
	}
	return t
}

// opened holds every stream until all are open: nothing is told before.
func (t *teller) opened(ctx context.Context) error {
	t.mu.Lock()
	if t.shut--; t.shut == 0 {
		t.each(Batch{Index: t.index(), Opened: true})
		close(t.ready)
	}
	t.mu.Unlock()
	select {
	case <-t.ready:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *teller) tell(stream int, ns string, l eventLine) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.Index > 0 {
		t.at[stream] = l.Index
	}
	t.each(Batch{Index: t.index(), Jobs: l.jobs(ns)})
}

// index is the lowest that a stream has come to: another may have more to tell of
// what lies between.
func (t *teller) index() uint64 {
	var low uint64
	for _, at := range t.at {
		if at > 0 && (low == 0 || at < low) {
			low = at
		}
	}
	return low
}

// events is one open stream of one namespace.
type events struct {
	client *Client
	what   call
	cancel context.CancelFunc
	alarm  *time.Timer // ends the request when nothing has come for too long
	silent atomic.Bool // the alarm went off
	body   io.ReadCloser
	lines  *json.Decoder
	first  eventLine
}

// openEvents opens a stream and reads its first line, the heartbeat that Nomad sends
// at once.
func (c *Client) openEvents(ctx context.Context, ns string, index uint64) (*events, error) {
	s := &events{client: c, what: call{
		name: "events_follow", op: "following the events of", subject: fmt.Sprintf("namespace %q", ns), namespace: ns, needs: "read-job", read: true,
	}}
	if err := c.mayFollow(ctx, s.what); err != nil {
		return nil, err
	}
	request, cancel := context.WithCancel(ctx)
	s.cancel = cancel
	s.alarm = time.AfterFunc(min(answerTime, c.silence), func() {
		s.silent.Store(true)
		cancel()
	})
	asked := time.Now()
	if err := c.answered(ctx, s.what, asked, s.open(request, index)); err != nil {
		s.close()
		return nil, err
	}
	s.alarm.Stop()
	return s, nil
}

// mayFollow asks for what needs the same capability. Nomad 2.0 answers 200 to a stream
// that it refuses, and then says nothing.
func (c *Client) mayFollow(ctx context.Context, what call) error {
	what.name = "events_check"
	_, err := read(ctx, c, what, func(q *api.QueryOptions) ([]*api.Deployment, *api.QueryMeta, error) {
		q.PerPage = 1
		return c.api.Deployments().List(q)
	})
	return err
}

func (s *events) open(ctx context.Context, index uint64) error {
	if index == 0 {
		index = fromNow
	}
	q := &api.QueryOptions{Namespace: s.what.namespace, Params: map[string]string{"index": strconv.FormatUint(index, 10)}}
	body, err := s.client.api.Raw().Response("/v1/event/stream?topic=Job&topic=Evaluation&topic=Allocation&topic=Deployment", q.WithContext(ctx))
	switch {
	case err != nil && s.silent.Load():
		return s.broken(err)
	case err != nil:
		return err
	}
	s.body, s.lines = body, json.NewDecoder(body)
	if err := s.lines.Decode(&s.first); err != nil {
		return s.broken(err)
	}
	return nil
}

// tell gives every line to each, and ends with the reason that there are no more.
func (s *events) tell(ctx context.Context, each func(eventLine)) error {
	if len(s.first.Events) > 0 {
		each(s.first)
	}
	for {
		var line eventLine
		s.alarm.Reset(s.client.silence)
		err := s.lines.Decode(&line)
		s.alarm.Stop() // what each takes is not the stream's fault
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return s.broken(err)
		}
		each(line)
	}
}

// broken says why a stream ended, which Nomad never does by itself.
func (s *events) broken(err error) error {
	out := &Error{Op: s.what.op, Subject: s.what.subject, Hint: "the connection to Nomad was cut: try again"}
	switch _, isText := errors.AsType[*json.SyntaxError](err); {
	case s.silent.Load():
		out.Err = fmt.Errorf("%w at %s: the stream is silent, without even a heartbeat", ErrUnreachable, s.client.address)
		out.Hint = s.silentHint()
	case isText:
		text, _ := io.ReadAll(io.LimitReader(s.lines.Buffered(), 1<<10))
		out.Err = fmt.Errorf("%w at %s: the stream ended with %q", ErrUnreachable, s.client.address, bytes.TrimSpace(text))
	default:
		out.Err = fmt.Errorf("%w at %s: the stream was cut: %w", ErrUnreachable, s.client.address, shorter(err))
	}
	return out
}

func (s *events) silentHint() string {
	where := "that namespace"
	if s.what.namespace == allNamespaces {
		where = "every namespace that exists"
	}
	return fmt.Sprintf("Nomad is as silent to a token without read-job in %s, and with enable_event_broker = false; else try again", where)
}

func (s *events) close() {
	s.alarm.Stop()
	s.cancel()
	if s.body != nil {
		s.body.Close()
	}
}

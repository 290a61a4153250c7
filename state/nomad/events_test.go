package nomad_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

// streams serves a stream for each namespace, and whatever else Follow asks.
func streams(t *testing.T, stream func(w io.Writer, r *http.Request)) string {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/event/stream" {
			w.Header().Set("X-Nomad-Index", "1")
			io.WriteString(w, "[]")
			return
		}
		stream(flushed{w}, r)
	})
}

// flushed sends everything at once.
type flushed struct{ http.ResponseWriter }

func (f flushed) Write(b []byte) (int, error) {
	n, err := f.ResponseWriter.Write(b)
	f.ResponseWriter.(http.Flusher).Flush()
	return n, err
}

func jobEvent(index int, ns, name string) string {
	return fmt.Sprintf(`{"Index":%d,"Events":[{"Topic":"Job","Key":%q,"Namespace":%q,"Index":%d,"Payload":{"Job":{"Key":"x","FilterKeys":[1]}}}]}`+"\n", index, name, ns, index)
}

func hang(r *http.Request) { <-r.Context().Done() }

func abort() { panic(http.ErrAbortHandler) }

func TestFollowEnds(t *testing.T) {
	t.Parallel()
	one := jobEvent(7, "default", "web")
	for name, tc := range map[string]struct {
		stream func(w io.Writer, r *http.Request)
		told   int
		is     error
		says   string
		hint   string
	}{
		"ended by the server":   {func(w io.Writer, _ *http.Request) { io.WriteString(w, "{}\n"+one) }, 2, nomad.ErrUnreachable, "was cut: EOF", "try again"},
		"cut":                   {func(w io.Writer, _ *http.Request) { io.WriteString(w, "{}\n"+one); abort() }, 2, nomad.ErrUnreachable, "was cut: unexpected EOF", "try again"},
		"cut in mid-line":       {func(w io.Writer, _ *http.Request) { io.WriteString(w, "{}\n"+one+one[:40]); abort() }, 2, nomad.ErrUnreachable, "was cut: unexpected EOF", "try again"},
		"ended in mid-line":     {func(w io.Writer, _ *http.Request) { io.WriteString(w, "{}\n"+one+one[:40]) }, 2, nomad.ErrUnreachable, "was cut: unexpected EOF", "try again"},
		"ended with words":      {func(w io.Writer, _ *http.Request) { io.WriteString(w, "{}\n"+one+"subscription closed") }, 2, nomad.ErrUnreachable, `ended with "subscription closed"`, "try again"},
		"cut before it began":   {func(io.Writer, *http.Request) { abort() }, 0, nomad.ErrUnreachable, "no answer from Nomad", "NOMAD_ADDR"},
		"ended before it began": {func(io.Writer, *http.Request) {}, 0, nomad.ErrUnreachable, "was cut: EOF", "try again"},
		"silent":                {func(w io.Writer, r *http.Request) { io.WriteString(w, "{}\n"+one); hang(r) }, 2, nomad.ErrUnreachable, "silent", "read-job in that namespace"},
		"silent in mid-line":    {func(w io.Writer, r *http.Request) { io.WriteString(w, "{}\n"+one+one[:40]); hang(r) }, 2, nomad.ErrUnreachable, "silent", "read-job in that namespace"},
		"silent from the start": {func(w io.Writer, r *http.Request) { io.WriteString(w, ""); hang(r) }, 0, nomad.ErrUnreachable, "silent", "read-job in that namespace"},
		"no answer":             {func(_ io.Writer, r *http.Request) { hang(r) }, 0, nomad.ErrUnreachable, "silent", "read-job in that namespace"},
		"refused": {func(w io.Writer, _ *http.Request) {
			w.(flushed).WriteHeader(403)
			io.WriteString(w, "Permission denied")
		}, 0, nomad.ErrForbidden, `"read-job" in namespace "default"`, "read-job"},
		"no leader": {func(w io.Writer, _ *http.Request) {
			w.(flushed).WriteHeader(500)
			io.WriteString(w, "No cluster leader")
		}, 0, nomad.ErrUnreachable, "No cluster leader", "server members"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, streams(t, tc.stream))
			c.SetSilence(300 * time.Millisecond)
			told := 0
			err := c.Follow(t.Context(), []string{"default"}, 5, func(nomad.Batch) { told++ })
			e, ok := errors.AsType[*nomad.Error](err)
			if !ok || e.Op != "following the events of" || !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) || !strings.Contains(e.Hint, tc.hint) {
				t.Errorf("%v (hint %q), want it to say %q", err, hint(err), tc.says)
			}
			if told != tc.told {
				t.Errorf("told %d batches, want %d", told, tc.told)
			}
		})
	}
}

// Nomad says nothing to a token that may not see every namespace, or at all: what it
// does refuse is asked first.
func TestFollowWithoutCapability(t *testing.T) {
	t.Parallel()
	srv := startDouble(t, nomadtest.Options{})
	srv.Fault(nomadtest.Forbidden("GET", "/v1/deployments"))
	err := newClient(t, srv.URL()).Follow(t.Context(), []string{"apps"}, 0, func(nomad.Batch) { t.Error("told something") })
	if !errors.Is(err, nomad.ErrForbidden) || !strings.Contains(err.Error(), `"read-job" in namespace "apps"`) {
		t.Errorf("%v", err)
	}
	c := newClient(t, streams(t, func(_ io.Writer, r *http.Request) { hang(r) }))
	c.SetSilence(50 * time.Millisecond)
	if err := c.Follow(t.Context(), []string{"apps", "*"}, 0, nil); !strings.Contains(hint(err), "read-job in every namespace") {
		t.Errorf("%v (hint %q)", err, hint(err))
	}
}

// A stream lives longer than the limits of its client and of silence, as long as its
// heart beats, and its connection ends with it.
func TestFollowLives(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{})
	url := streams(t, func(w io.Writer, r *http.Request) {
		defer close(gone)
		beat := time.NewTicker(20 * time.Millisecond)
		defer beat.Stop()
		for {
			io.WriteString(w, "{}\n")
			select {
			case <-beat.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	c, err := nomad.New(&api.Config{Address: url, HttpClient: &http.Client{Transport: &http.Transport{}, Timeout: 300 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	c.SetSilence(400 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	beats := 0
	err = c.Follow(ctx, []string{"default"}, 0, func(b nomad.Batch) {
		if beats++; beats == 40 {
			cancel()
		}
		if len(b.Jobs) > 0 || b.Index != 0 || b.Opened != (beats == 1) {
			t.Errorf("batch %d is %+v", beats, b)
		}
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, nomad.ErrUnreachable) {
		t.Errorf("%v, want the context's end", err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("the connection is still there")
	}
}

func TestFollowNamesJobs(t *testing.T) {
	t.Parallel()
	event := func(topic, key, others string) string {
		return fmt.Sprintf(`{"Topic":%q,"Key":%q,"Namespace":"apps","FilterKeys":%s,"Payload":{}}`, topic, key, others)
	}
	line := `{"Index":9,"Events":[` + strings.Join([]string{
		event("Evaluation", "e1", `["a/b@c",""]`), event("Job", "a/b@c", "null"), event("Allocation", "a1", `["p/periodic-1","d1"]`),
		event("Deployment", "d1", `["web"]`), event("Allocation", "a2", `["web","d1"]`), event("Deployment", "d2", `[]`), event("Evaluation", "e2", "null"),
		`{"Topic":"Job","Key":"bare"}`,
	}, ",") + "]}\n"
	for name, text := range map[string]string{"after a heartbeat": "{}\n" + line, "at once": line} {
		var got []nomad.Batch
		newClient(t, streams(t, func(w io.Writer, r *http.Request) {
			if q := r.URL.Query(); q.Get("index") != "3" || q.Get("namespace") != "apps" || !slices.Equal(q["topic"], []string{"Job", "Evaluation", "Allocation", "Deployment"}) {
				t.Errorf("asked for %v", q)
			}
			io.WriteString(w, text)
		})).Follow(t.Context(), []string{"apps"}, 3, func(b nomad.Batch) { got = append(got, b) })
		want := []nomad.Batch{{Index: 3, Opened: true}, {Index: 9, Jobs: []job.ID{
			{Namespace: "apps", Name: "a/b@c"}, {Namespace: "apps", Name: "p/periodic-1"}, {Namespace: "apps", Name: "web"}, {Namespace: "apps", Name: "bare"},
		}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Streams of several namespaces open as one, count as far as the slowest, and end with
// the first that does.
func TestFollowSeveral(t *testing.T) {
	t.Parallel()
	aOpen, bTold := make(chan struct{}), make(chan struct{})
	url := streams(t, func(w io.Writer, r *http.Request) {
		switch r.URL.Query().Get("namespace") {
		case "a":
			io.WriteString(w, "{}\n"+jobEvent(20, "a", "one"))
			close(aOpen)
			hang(r)
		case "b":
			<-aOpen
			io.WriteString(w, "{}\n"+jobEvent(15, "b", "two")+jobEvent(30, "b", "three"))
			<-bTold
		}
	})
	told := map[string]uint64{}
	var last uint64
	err := newClient(t, url).Follow(t.Context(), []string{"b", "a", "b"}, 10, func(b nomad.Batch) {
		if b.Opened != (last == 0) {
			t.Errorf("%+v after index %d", b, last)
		}
		if last = b.Index; b.Opened {
			return
		}
		for _, id := range b.Jobs {
			told[id.Namespace+"/"+id.Name] = b.Index
		}
		if len(told) == 3 {
			close(bTold)
		}
	})
	if !errors.Is(err, nomad.ErrUnreachable) || !strings.Contains(err.Error(), `namespace "b"`) {
		t.Errorf("%v, want the end of b's stream", err)
	}
	if last != 20 || len(told) != 3 {
		t.Errorf("last index %d of %v, want 20 of three", last, told)
	}
}

// What a cut hides is told to the one who comes again with the last index.
func TestFollowAgainAfterACut(t *testing.T) {
	t.Parallel()
	srv := startDouble(t, nomadtest.Options{})
	c := newClient(t, srv.URL())
	register := func(name string) {
		if _, err := c.Register(t.Context(), emptyJob(name), nil, 0); err != nil {
			t.Error(err)
		}
	}
	register("before")
	_, index, err := c.List(t.Context(), []string{"default"})
	if err != nil {
		t.Fatal(err)
	}
	for i, cut := range []func(){srv.CutStreams, func() {}, srv.CutStreams} {
		name := fmt.Sprint("job-", i)
		if i == 1 { // the answer is cut within a line
			srv.Fault(nomadtest.Fault{Path: "/v1/event/stream", Times: 1, Cut: true, CutAfter: 100})
		}
		var seen []string
		var deed sync.WaitGroup
		err := c.Follow(t.Context(), []string{"default"}, index, func(b nomad.Batch) {
			index = b.Index
			if b.Opened {
				deed.Go(func() { register(name) })
			}
			for _, id := range b.Jobs {
				seen = append(seen, id.Name)
			}
			if slices.Contains(seen, name) {
				cut()
			}
		})
		deed.Wait()
		if !errors.Is(err, nomad.ErrUnreachable) {
			t.Fatalf("%s: %v, want a cut", name, err)
		}
		if i == 2 && !slices.Contains(seen, "job-1") {
			t.Errorf("after the cut: %v, want job-1 too", seen)
		}
	}
}

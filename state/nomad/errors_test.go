package nomad_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

var web = job.ID{Namespace: "default", Name: "web"}

func TestForbiddenNamesTheCapability(t *testing.T) {
	t.Parallel()
	srv := startDouble(t, nomadtest.Options{})
	srv.Fault(nomadtest.Forbidden("", ""))
	c, ctx := newClient(t, srv.URL()), t.Context()
	j := &api.Job{ID: new("web")}
	for name, tc := range map[string]struct {
		needs string
		call  func() error
	}{
		"list":        {"list-jobs", func() error { _, err := c.Jobs(ctx, []string{"default"}); return err }},
		"read":        {"read-job", func() error { _, err := c.Job(ctx, web); return err }},
		"submission":  {"read-job", func() error { _, err := c.Submission(ctx, web, 0); return err }},
		"plan":        {"submit-job", func() error { _, err := c.Plan(ctx, j); return err }},
		"register":    {"submit-job", func() error { _, err := c.Register(ctx, j, nil, 0); return err }},
		"stop":        {"submit-job", func() error { _, err := c.Stop(ctx, j, 1); return err }},
		"parse":       {"parse-job", func() error { _, err := c.Parse(ctx, "default", &api.JobSubmission{}); return err }},
		"allocations": {"read-job", func() error { _, _, err := c.Allocations(ctx, web, 0); return err }},
		"logs":        {"read-logs", func() error { _, err := c.Logs(ctx, "a", "t", "stdout", false); return err }},
		"tail":        {"read-logs", func() error { _, err := c.Tail(ctx, "a", "t", "stdout", 1); return err }},
	} {
		err := tc.call()
		if !errors.Is(err, nomad.ErrForbidden) || !strings.Contains(err.Error(), tc.needs) || !strings.Contains(hint(err), tc.needs) {
			t.Errorf("%s: %v (hint %q), want the capability %s", name, err, hint(err), tc.needs)
		}
	}
}

// Nomad decodes the flags of a submission at each read, until it cannot any more.
func TestSubmissionThatNomadCannotDecode(t *testing.T) {
	t.Parallel()
	srv := startDouble(t, nomadtest.Options{})
	srv.Fault(nomadtest.Fault{Path: "*/submission", Status: 500, Text: `invalid URL escape "% "`})
	if sub, err := newClient(t, srv.URL()).Submission(t.Context(), web, 0); sub != nil || err != nil {
		t.Errorf("%v, %v", sub, err)
	}
}

func TestAnswersThatAreErrors(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault nomadtest.Fault
		is    error
		says  string
	}{
		"conflict":      {nomadtest.Fault{Status: 500, Text: "Enforcing job modify index 4: job exists with conflicting job modify index: 9"}, nomad.ErrConflict, "modify index: 9"},
		"wrapped":       {nomadtest.Fault{Status: 500, Text: "rpc error: Enforcing job modify index 0: job already exists"}, nomad.ErrConflict, "already exists"},
		"other 500":     {nomadtest.Fault{Status: 500, Text: "disk is full"}, nil, "refused with status 500: disk is full"},
		"no leader":     {nomadtest.Fault{Status: 500, Text: "No cluster leader"}, nomad.ErrUnreachable, "No cluster leader"},
		"proxy":         {nomadtest.Fault{Status: 502, Text: "bad gateway"}, nomad.ErrUnreachable, "502"},
		"tls":           {nomadtest.Fault{Status: 400, Text: "Client sent an HTTP request to an HTTPS server."}, nomad.ErrUnreachable, "HTTPS"},
		"not found":     {nomadtest.Fault{Status: 404, Text: "job not found"}, nomad.ErrNotFound, "job not found"},
		"bad token":     {nomadtest.Fault{Status: 403, Text: "ACL token not found"}, nomad.ErrForbidden, "ACL token not found"},
		"cut":           {nomadtest.Fault{Cut: true}, nomad.ErrUnreachable, "no answer from Nomad"},
		"cut in middle": {nomadtest.Fault{Cut: true, CutAfter: 1}, nomad.ErrUnreachable, "unexpected EOF"},
	} {
		srv := startDouble(t, nomadtest.Options{})
		srv.Fault(tc.fault)
		_, err := newClient(t, srv.URL()).Register(t.Context(), emptyJob("web"), nil, 0)
		e, ok := errors.AsType[*nomad.Error](err)
		if !ok || e.Op != "registering job" || e.Subject != "web" || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, tc.says)
		}
		for _, sentinel := range []error{nomad.ErrConflict, nomad.ErrForbidden, nomad.ErrNotFound, nomad.ErrUnreachable} {
			if errors.Is(err, sentinel) != (sentinel == tc.is) {
				t.Errorf("%s: %v matches %q: %t", name, err, sentinel, errors.Is(err, sentinel))
			}
		}
		if tc.is != nil && e != nil && e.Hint == "" {
			t.Errorf("%s: no hint", name)
		}
	}
}

// emptyJob is a job that runs nothing.
func emptyJob(name string) *api.Job {
	return &api.Job{ID: &name, TaskGroups: []*api.TaskGroup{{Name: new("g"), Count: new(0), Tasks: []*api.Task{{Name: "t", Driver: "raw_exec"}}}}}
}

func TestUnreachableNamesTheAddress(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	c := newClient(t, url)
	_, err = c.Job(t.Context(), web)
	if !errors.Is(err, nomad.ErrUnreachable) || !strings.Contains(err.Error(), url) || !strings.Contains(hint(err), "NOMAD_ADDR") {
		t.Errorf("%v (hint %q)", err, hint(err))
	}
	if strings.Contains(err.Error(), "/v1/") {
		t.Errorf("shows the request: %v", err)
	}
	if c.Address() != url {
		t.Errorf("address %s, want %s", c.Address(), url)
	}
}

func TestCancelledStaysCancelled(t *testing.T) {
	t.Parallel()
	srv := startDouble(t, nomadtest.Options{})
	srv.Fault(nomadtest.Fault{Delay: time.Hour})
	c := newClient(t, srv.URL())
	for name, call := range map[string]func(context.Context) error{
		"read":     func(ctx context.Context) error { _, err := c.Job(ctx, web); return err },
		"write":    func(ctx context.Context) error { _, err := c.Plan(ctx, emptyJob("web")); return err },
		"blocking": func(ctx context.Context) error { _, _, err := c.Allocations(ctx, web, 1); return err },
		"logs":     func(ctx context.Context) error { _, err := c.Logs(ctx, "a", "t", "stdout", true); return err },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		if err := call(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, nomad.ErrUnreachable) {
			t.Errorf("%s: %v, want context.Canceled", name, err)
		}
	}
}

// A server that answers every blocking query at once must not be asked in a loop.
func TestBlockingNeverSpins(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 1000)
	srv := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked <- struct{}{}
		w.Header().Set("X-Nomad-Index", "7")
		io.WriteString(w, "[]")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	_, _, err := newClient(t, srv).Allocations(ctx, web, 7)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the context's end", err)
	}
	if n := len(asked); n != 1 {
		t.Errorf("asked %d times within 400ms, want once", n)
	}
	if _, next, err := newClient(t, srv).Allocations(t.Context(), web, 9); err != nil || next != 7 {
		t.Errorf("an index that fell back: %d, %v, want 7 at once", next, err)
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return "http://" + l.Addr().String()
}

func TestLogStreamsThatBreak(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		follow bool
		body   string
		want   func(error) bool
		text   string
	}{
		"end":             {false, `{"Data":"YWJj","File":"f","Offset":3}{}`, func(err error) bool { return err == nil }, "abc"},
		"follow cut":      {true, `{"Data":"YWJj","File":"f","Offset":3}{}`, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }, "abc"},
		"cut in a frame":  {false, `{"Data":"YWJj","File":"f","Offset":3}{"Da`, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }, "abc"},
		"error in stream": {true, `{"Data":"YWJj","File":"f","Offset":3}failed to list entries`, func(err error) bool { return err != nil && strings.Contains(err.Error(), "failed to list entries") }, "abc"},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, tc.body) })
		r, err := newClient(t, url).Logs(t.Context(), "a", "t", "stdout", tc.follow)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if string(text) != tc.text || !tc.want(err) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		r.Close()
	}
}

func TestTailOfALongLog(t *testing.T) {
	t.Parallel()
	srv := startDouble(t, nomadtest.Options{})
	s := &script{t: t, Client: newClient(t, srv.URL()), ctx: t.Context(), name: "tail"}
	j := s.job(`i=0; while [ $i -lt 3000 ]; do echo "line number $i"; i=$((i+1)); done`)
	j.Type = new("batch")
	s.register(j, nil, 0)
	a := s.status(s.id(), "complete")[0]
	lines := must[[]string](s)(s.Tail(s.ctx, a.ID, "t", "stdout", 2))
	if strings.Join(lines, "|") != "line number 2998|line number 2999" {
		t.Errorf("last two lines: %q", lines)
	}
	lines = must[[]string](s)(s.Tail(s.ctx, a.ID, "t", "stdout", 3000))
	if n := len(strings.Join(lines, "\n")); n > 16<<10 || n < 15<<10 || lines[0] != "line number "+strings.TrimPrefix(lines[0], "line number ") {
		t.Errorf("%d bytes from %q", n, lines[0])
	}
	if got := readAll(s, a.ID, "stdout"); strings.Count(got, "\n") != 3000 {
		t.Errorf("the whole log has %d lines, want 3000", strings.Count(got, "\n"))
	}
}

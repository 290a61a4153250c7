package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/reconcile/controller/server"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// fake is an agent with three jobs, one of which has a name that wants escaping.
type fake struct {
	overview controller.Overview
	dead     bool
	broken   error
	more     int // runs
	asked    []string
}

func newFake() *fake {
	return &fake{overview: controller.Overview{Serial: 7, Ready: true, Known: 3, Jobs: []controller.Status{
		{ID: job.ID{Namespace: "default", Name: "a/b %2F"}, Condition: reconcile.Held, Reason: "why"},
		{ID: job.ID{Namespace: "default", Name: "web"}, File: "jobs/web.hcl", Condition: reconcile.InSync},
		{ID: job.ID{Namespace: "prod", Name: "web"}, Condition: reconcile.OutOfSync},
	}}}
}

func (f *fake) Overview() controller.Overview { return f.overview }
func (f *fake) Serial() uint64                { return f.overview.Serial }
func (f *fake) Alive() bool                   { return !f.dead }

func (f *fake) Plans(ids ...job.ID) []reconcile.Plan {
	var out []reconcile.Plan
	for _, j := range f.overview.Jobs {
		wanted := len(ids) == 0
		for _, id := range ids {
			wanted = wanted || id == j.ID
		}
		if wanted && j.Condition != reconcile.InSync {
			out = append(out, reconcile.Plan{ID: j.ID, Condition: j.Condition, Actions: []reconcile.Action{reconcile.EditFile}})
		}
	}
	return out
}

func (f *fake) Runs(_ context.Context, id *job.ID) ([]history.Run, error) {
	var out []history.Run
	for i := range 200 + f.more {
		run := history.Run{ID: fmt.Sprint(i), Job: newFake().overview.Jobs[i%3].ID}
		if id == nil || run.Job == *id {
			out = append(out, run)
		}
	}
	if f.broken != nil {
		return nil, f.broken
	}
	return out, nil
}

func (f *fake) Reconcile(names ...string) (int, error) {
	f.asked = append(f.asked, strings.Join(names, "+"))
	for _, name := range names {
		if name == "wbe" {
			return 0, errors.New(`there is no job "wbe"`)
		}
	}
	return max(len(names), 1), nil
}

// encoders write just enough to tell the documents apart.
func encoders() server.Encoders {
	say := func(w io.Writer, format string, args ...any) error {
		_, err := fmt.Fprintf(w, format+"\n", args...)
		return err
	}
	return server.Encoders{
		Status: func(w io.Writer, o controller.Overview) error { return say(w, "status of %d", len(o.Jobs)) },
		Job: func(w io.Writer, d server.Job) error {
			return say(w, "job %s@%s plan %t runs %d", d.Status.ID.Name, d.Status.ID.Namespace, d.Plan != nil, len(d.Runs))
		},
		Plans: func(w io.Writer, plans []reconcile.Plan) error {
			var names []string
			for _, p := range plans {
				names = append(names, fmt.Sprintf("%s %s %d", p.ID, p.Condition, len(p.Actions)))
			}
			return say(w, "plans %s", strings.Join(names, ", "))
		},
		Runs:    func(w io.Writer, runs []history.Run) error { return say(w, "runs %d", len(runs)) },
		Queued:  func(w io.Writer, n int) error { return say(w, "queued %d", n) },
		Problem: func(w io.Writer, text, next string) error { return say(w, "%s; %s", text, next) },
	}
}

type request struct {
	name, method, target string
	header               map[string]string // Host too
	body                 string
}

type answer struct {
	status int
	body   string            // whole; "..." at its end: the beginning
	header map[string]string // what must be there
}

func ask(h http.Handler, q request) *http.Response {
	r := httptest.NewRequest(q.method, "http://localhost:9464"+q.target, strings.NewReader(q.body))
	for k, v := range q.header {
		if k == "Host" {
			r.Host = v
		} else {
			r.Header.Set(k, v)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func check(t *testing.T, got *http.Response, want answer) {
	t.Helper()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	text := string(body)
	if beginning, cut := strings.CutSuffix(want.body, "..."); cut && strings.HasPrefix(text, beginning) {
		text = want.body
	}
	if got.StatusCode != want.status || strings.TrimSuffix(text, "\n") != want.body {
		t.Errorf("%d %s\nwant %d %s", got.StatusCode, text, want.status, want.body)
	}
	for k, v := range want.header {
		if got.Header.Get(k) != v {
			t.Errorf("%s: %q, want %q", k, got.Header.Get(k), v)
		}
	}
}

const needsToken = "a token must be shown; send the header `Authorization: Bearer TOKEN`, with what the file of http.token_file holds"

func TestRequests(t *testing.T) {
	t.Parallel()
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "metrics") })
	extra := map[string]http.Handler{"/v1/apply": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, r.Method, "apply") })}
	listeners := map[string]server.Options{
		"local":  {Metrics: metrics, Extra: extra},
		"token":  {Metrics: metrics, Token: "s3cret", Extra: extra, Pprof: true},
		"socket": {Metrics: metrics, Token: "s3cret", Trusted: true, Extra: extra},
	}
	bearer := map[string]string{"Authorization": "Bearer s3cret", "Host": "agent.example:9464"}
	tests := []struct {
		at string
		request
		answer
	}{
		{"local", request{name: "status", method: "GET", target: "/v1/status"}, answer{200, "status of 3", map[string]string{"Content-Type": "application/json", "Cache-Control": "no-cache", "Content-Length": "12"}}},
		{"local", request{name: "head", method: "HEAD", target: "/v1/status"}, answer{200, "status of 3", nil}}, // net/http leaves the body away, see TestServe
		{"local", request{name: "metrics", method: "GET", target: "/metrics"}, answer{200, "metrics", nil}},
		{"local", request{name: "alive", method: "GET", target: "/healthz"}, answer{200, "ok", nil}},
		{"local", request{name: "ready", method: "GET", target: "/readyz"}, answer{200, "ok", nil}},
		{"local", request{name: "raw slashes", method: "GET", target: "/v1/jobs/default/a/b%20%252F"}, answer{200, "job a/b %2F@default plan true runs 5", nil}},
		{"local", request{name: "escaped slashes", method: "GET", target: "/v1/jobs/default/a%2Fb%20%252F"}, answer{200, "job a/b %2F@default plan true runs 5", nil}},
		{"local", request{name: "in sync", method: "GET", target: "/v1/jobs/default/web"}, answer{200, "job web@default plan false runs 5", nil}},
		{"local", request{name: "no such job", method: "GET", target: "/v1/jobs/default/wbe"}, answer{404, `there is no job "wbe" in the namespace "default"; ask for /v1/status, which lists the jobs`, nil}},
		{"local", request{name: "no name", method: "GET", target: "/v1/jobs/default/"}, answer{404, "a job is asked for as /v1/jobs/NAMESPACE/ID; ask for /v1/status, which lists the jobs", nil}},
		{"local", request{name: "all plans", method: "GET", target: "/v1/plan"}, answer{200, "plans a/b %2F held 1, web in_sync 0, web@prod out_of_sync 1", nil}},
		{"local", request{name: "a name of two", method: "GET", target: "/v1/plan?job=web"}, answer{200, "plans web in_sync 0, web@prod out_of_sync 1", nil}},
		{"local", request{name: "twice", method: "GET", target: "/v1/plan?job=web@prod&job=web@prod"}, answer{200, "plans web@prod out_of_sync 1", nil}},
		{"local", request{name: "no such plan", method: "GET", target: "/v1/plan?job=wbe"}, answer{404, `there is no job "wbe"; ask for /v1/status, which lists the jobs`, nil}},
		{"local", request{name: "runs", method: "GET", target: "/v1/runs"}, answer{200, "runs 100", nil}},
		{"local", request{name: "runs of a job", method: "GET", target: "/v1/runs?job=web@prod"}, answer{200, "runs 66", nil}},
		{"local", request{name: "runs of two", method: "GET", target: "/v1/runs?job=web&limit=1000"}, answer{200, "runs 133", nil}},
		{"local", request{name: "runs of none", method: "GET", target: "/v1/runs?job=gone"}, answer{200, "runs 0", nil}},
		{"local", request{name: "no limit", method: "GET", target: "/v1/runs?limit=0"}, answer{400, `limit is a number from 1, not "0"; leave it away for 100 runs`, nil}},

		{"local", request{name: "method", method: "POST", target: "/v1/status"}, answer{405, "/v1/status does not take POST; use GET, HEAD", map[string]string{"Allow": "GET, HEAD"}}},
		{"local", request{name: "no path", method: "GET", target: "/v2"}, answer{404, "there is nothing at /v2; ask for one of /healthz, /metrics, /readyz, /v1/jobs/NAMESPACE/ID, /v1/plan, /v1/reconcile, /v1/runs, /v1/status", nil}},
		{"local", request{name: "no profiles", method: "GET", target: "/debug/pprof/"}, answer{404, "there is nothing at /debug/pprof/...", nil}},
		{"local", request{name: "not for others", method: "POST", target: "/v1/apply"}, answer{404, "there is nothing at /v1/apply...", nil}},
		{"local", request{name: "change without a token", method: "POST", target: "/v1/reconcile"}, answer{403, "without http.token_file nothing can be asked for here that changes something; set http.token_file in reconcile.hcl, restart the agent and show the token", nil}},

		{"local", request{name: "a page's host", method: "GET", target: "/v1/status", header: map[string]string{"Host": "evil.example:9464"}}, answer{421, "this is not evil.example:9464: without http.token_file only localhost and addresses of this machine's loopback are answered to; ask for http://127.0.0.1:PORT, or set http.token_file in reconcile.hcl and show the token", nil}},
		{"local", request{name: "no host", method: "GET", target: "/v1/status", header: map[string]string{"Host": ""}}, answer{421, "this is not : ...", nil}},
		{"local", request{name: "IPv6", method: "GET", target: "/v1/status", header: map[string]string{"Host": "[::1]:9464"}}, answer{200, "status of 3", nil}},
		{"local", request{name: "IPv6 without a port", method: "GET", target: "/v1/status", header: map[string]string{"Host": "[::1]"}}, answer{200, "status of 3", nil}},
		{"local", request{name: "127.0.0.2", method: "GET", target: "/v1/status", header: map[string]string{"Host": "127.0.0.2"}}, answer{200, "status of 3", nil}},
		{"local", request{name: "looks like it", method: "GET", target: "/v1/status", header: map[string]string{"Host": "127.0.0.1.evil.example"}}, answer{421, "this is not 127.0.0.1.evil.example...", nil}},
		{"local", request{name: "probes ask by any name", method: "GET", target: "/healthz", header: map[string]string{"Host": "evil.example"}}, answer{200, "ok", nil}},

		{"token", request{name: "none", method: "GET", target: "/v1/status"}, answer{401, needsToken, map[string]string{"WWW-Authenticate": `Bearer realm="reconcile"`}}},
		{"token", request{name: "none, for metrics", method: "GET", target: "/metrics"}, answer{401, needsToken, nil}},
		{"token", request{name: "none, for nothing", method: "GET", target: "/x"}, answer{401, needsToken, nil}},
		{"token", request{name: "another scheme", method: "GET", target: "/v1/status", header: map[string]string{"Authorization": "Basic s3cret"}}, answer{401, needsToken, nil}},
		{"token", request{name: "wrong", method: "GET", target: "/v1/status", header: map[string]string{"Authorization": "Bearer s3cre"}}, answer{401, "this is not the token; ...", map[string]string{"WWW-Authenticate": `Bearer realm="reconcile", error="invalid_token"`}}},
		{"token", request{name: "right", method: "GET", target: "/v1/status", header: bearer}, answer{200, "status of 3", nil}},
		{"token", request{name: "lower case", method: "GET", target: "/v1/status", header: map[string]string{"Authorization": "bearer s3cret"}}, answer{200, "status of 3", nil}},
		{"token", request{name: "alive", method: "GET", target: "/healthz"}, answer{200, "ok", nil}},
		{"token", request{name: "profiles", method: "GET", target: "/debug/pprof/cmdline", header: bearer}, answer{200, "...", nil}},
		{"token", request{name: "a profile", method: "GET", target: "/debug/pprof/goroutine?debug=1", header: bearer}, answer{200, "goroutine profile: ...", nil}},
		{"token", request{name: "not for others", method: "POST", target: "/v1/apply", header: bearer}, answer{404, "there is nothing at /v1/apply...", nil}},
		{"token", request{name: "now", method: "POST", target: "/v1/reconcile", header: bearer, body: `{"jobs": ["web", "a/b %2F"]}`}, answer{202, "queued 2", nil}},
		{"token", request{name: "now all", method: "POST", target: "/v1/reconcile", header: bearer}, answer{202, "queued 1", nil}},
		{"token", request{name: "now, by a link", method: "GET", target: "/v1/reconcile", header: bearer}, answer{405, "/v1/reconcile does not take GET; use POST", map[string]string{"Allow": "POST"}}},
		{"token", request{name: "no such job now", method: "POST", target: "/v1/reconcile", header: bearer, body: `{"jobs": ["wbe"]}`}, answer{404, `there is no job "wbe"; ask for /v1/status, which lists the jobs`, nil}},
		{"token", request{name: "another shape", method: "POST", target: "/v1/reconcile", header: bearer, body: `{"job": "web"}`}, answer{400, "the body cannot be read: json: unknown field \"job\"; send {\"jobs\": [\"NAME\", \"NAME@NAMESPACE\"]}, or nothing for all jobs", nil}},
		{"token", request{name: "too long", method: "POST", target: "/v1/reconcile", header: bearer, body: strings.Repeat(" ", 64<<10) + "{}"}, answer{413, "the body is longer than 65536 bytes; ...", nil}},

		{"socket", request{name: "status", method: "GET", target: "/v1/status", header: map[string]string{"Host": "agent"}}, answer{200, "status of 3", nil}},
		{"socket", request{name: "now", method: "POST", target: "/v1/reconcile"}, answer{202, "queued 1", nil}},
		{"socket", request{name: "extra", method: "POST", target: "/v1/apply"}, answer{200, "POST apply", nil}},
	}
	for _, tt := range tests {
		t.Run(tt.at+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			check(t, ask(server.New(newFake(), encoders(), listeners[tt.at]), tt.request), tt.answer)
		})
	}
}

func TestNotWell(t *testing.T) {
	t.Parallel()
	f := newFake()
	h := server.New(f, encoders(), server.Options{})
	f.dead, f.overview.Ready, f.overview.Left = true, false, 2
	check(t, ask(h, request{method: "GET", target: "/healthz"}), answer{503, "the agent's loop does not move; look at the agent's log, and restart it", nil})
	check(t, ask(h, request{method: "GET", target: "/readyz"}), answer{503, "the first pass is not done: 2 of 3 jobs have not been looked at; wait, or look with: reconcile status", nil})
	f.overview.NomadErr = "Nomad at http://x does not answer"
	check(t, ask(h, request{method: "GET", target: "/readyz"}), answer{503, "the first pass is not done: Nomad at http://x does not answer; wait, or look with: reconcile status", nil})
	f.broken = errors.New("reading the history: no space left; password=hunter2")
	check(t, ask(h, request{method: "GET", target: "/v1/runs"}), answer{500, "reading the history: no space left; password=(redacted); look at the agent's log", nil})
	check(t, ask(h, request{method: "GET", target: "/v1/jobs/default/web"}), answer{500, "reading the history: ...", nil})
	check(t, ask(h, request{method: "GET", target: "/metrics"}), answer{404, "there is nothing at /metrics; ...", nil})
}

// A document that the client has is not sent again, until something has changed.
func TestConditional(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/v1/status", "/v1/plan", "/v1/plan?job=web", "/v1/runs?limit=1000", "/v1/jobs/prod/web"} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			f := newFake()
			h := server.New(f, encoders(), server.Options{})
			first := ask(h, request{method: "GET", target: target})
			tag := first.Header.Get("ETag")
			if !strings.HasPrefix(tag, `W/"`) {
				t.Fatalf("ETag %q", tag)
			}
			have := map[string]string{"If-None-Match": `"other", ` + tag}
			check(t, ask(h, request{method: "GET", target: target, header: have}), answer{304, "", map[string]string{"ETag": tag, "Cache-Control": "no-cache"}})
			check(t, ask(h, request{method: "HEAD", target: target, header: have}), answer{304, "", map[string]string{"ETag": tag}})
			if strings.HasPrefix(target, "/v1/runs") || strings.HasPrefix(target, "/v1/jobs") {
				f.more++ // of somebody else: the agent does not know
				f.overview.Jobs[2].Condition = reconcile.InSync
			} else {
				f.overview.Serial++
			}
			if again := ask(h, request{method: "GET", target: target, header: have}); again.StatusCode != 200 {
				t.Errorf("%d after a change", again.StatusCode)
			}
		})
	}
}

// Each document has tags of its own, and so has each process: serials begin anew.
func TestTagsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, process := range []string{"one", "two"} {
		h := server.New(newFake(), encoders(), server.Options{})
		for _, target := range []string{"/v1/status", "/v1/plan", "/v1/plan?job=web", "/v1/plan?job=web@prod"} {
			tag := ask(h, request{method: "GET", target: target}).Header.Get("ETag")
			if other, ok := seen[tag]; ok {
				t.Errorf("%s %s has the tag of %s", process, target, other)
			}
			seen[tag] = process + " " + target
		}
	}
}

// An encoder that fails is an answer too.
func TestEncoderFails(t *testing.T) {
	t.Parallel()
	e := encoders()
	e.Status = func(w io.Writer, _ controller.Overview) error {
		fmt.Fprint(w, "half")
		return errors.New("unsupported value")
	}
	check(t, ask(server.New(newFake(), e, server.Options{}), request{method: "GET", target: "/v1/status"}), answer{500, "unsupported value; look at the agent's log", nil})
	e.Problem = func(io.Writer, string, string) error { return errors.New("nor this") }
	check(t, ask(server.New(newFake(), e, server.Options{}), request{method: "GET", target: "/v1/status"}), answer{500, "nor this", nil})
}

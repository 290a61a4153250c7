// Package server shows the agent over HTTP: what it knows of the jobs, its metrics,
// and whether it lives. It decides nothing and remembers nothing; each answer is a
// snapshot that the agent gives. The documents are written by functions that the
// caller hands in, so that they are those of the command line, secrets hidden.
package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// Agent is what the server shows; *controller.Agent is one.
type Agent interface {
	// Overview is a snapshot.
	Overview() controller.Overview
	// Serial is that of the Overview, and costs nothing.
	Serial() uint64
	// Plans are those of the jobs that are not in sync, as they were last made; of
	// all such jobs without IDs.
	Plans(ids ...job.ID) []reconcile.Plan
	// Runs are those of one job, or of all with nil, the newest first. An error may
	// come with the runs that could be read.
	Runs(ctx context.Context, id *job.ID) ([]history.Run, error)
	// Reconcile has these jobs (NAME or NAME@NAMESPACE) looked at now, all without
	// names, and says how many these are. An unknown name is an error.
	Reconcile(names ...string) (int, error)
	// Alive reports whether the loop moves.
	Alive() bool
}

// Encoders write the JSON documents.
type Encoders struct {
	Status  func(w io.Writer, o controller.Overview) error
	Job     func(w io.Writer, d Job) error
	Plans   func(w io.Writer, plans []reconcile.Plan) error
	Runs    func(w io.Writer, runs []history.Run) error
	Queued  func(w io.Writer, jobs int) error
	Problem func(w io.Writer, text, next string) error
}

// Job is all that is known of one job.
type Job struct {
	Status controller.Status
	Plan   *reconcile.Plan // nil where it is in sync
	Runs   []history.Run   // the last ones, the newest first
}

// Options say who may ask for what.
type Options struct {
	Token   string       // who asks must show it, but for /healthz and /readyz; empty: nobody need
	Trusted bool         // whoever can reach this may do everything: a socket of our own
	Pprof   bool         // also answer /debug/pprof/
	Metrics http.Handler // answers /metrics; nil: nobody does

	// Extra are further endpoints by their path, all methods; of a Trusted one alone.
	Extra map[string]http.Handler
}

type server struct {
	agent  Agent
	encode Encoders
	Options
	routes []route
	nonce  string // tells this process from the one before, whose serials begin alike
}

// route is an endpoint. A path that ends in a slash stands for all below it.
type route struct {
	path    string
	methods []string // none: all
	open    bool     // asks for no token
	handler http.HandlerFunc
}

var get, post = []string{http.MethodGet, http.MethodHead}, []string{http.MethodPost}

// New is the handler of a listener.
func New(a Agent, e Encoders, o Options) http.Handler {
	s := &server{agent: a, encode: e, Options: o, nonce: rand.Text()}
	s.routes = []route{
		{"/healthz", get, true, s.healthz},
		{"/readyz", get, true, s.readyz},
		{"/v1/status", get, false, s.status},
		{"/v1/jobs/", get, false, s.job},
		{"/v1/runs", get, false, s.runs},
		{"/v1/plan", get, false, s.plan},
		{"/v1/reconcile", post, false, s.reconcile},
	}
	if o.Metrics != nil {
		s.routes = append(s.routes, route{"/metrics", get, false, o.Metrics.ServeHTTP})
	}
	if o.Pprof {
		s.routes = append(s.routes, profiles...)
	}
	if o.Trusted {
		for path, h := range o.Extra {
			s.routes = append(s.routes, route{path: path, handler: h.ServeHTTP})
		}
	}
	slices.SortFunc(s.routes, func(a, b route) int { return cmp.Compare(a.path, b.path) })
	return s
}

var profiles = []route{
	{"/debug/pprof/", get, false, pprof.Index},
	{"/debug/pprof/cmdline", get, false, pprof.Cmdline},
	{"/debug/pprof/profile", get, false, pprof.Profile},
	{"/debug/pprof/symbol", append(slices.Clone(get), post...), false, pprof.Symbol},
	{"/debug/pprof/trace", get, false, pprof.Trace},
}

// ServeHTTP finds the endpoint and asks whether it may be had. Paths are looked at as
// they are: what http.ServeMux makes of "//" would be another job's name.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	at := s.find(r.URL.Path)
	if p := s.refused(r, at); p != nil {
		p.send(s, w)
		return
	}
	switch {
	case at == nil:
		s.problem(w, http.StatusNotFound, "there is nothing at "+r.URL.Path, "ask for one of "+s.paths())
	case len(at.methods) > 0 && !slices.Contains(at.methods, r.Method):
		allowed := strings.Join(at.methods, ", ")
		h.Set("Allow", allowed)
		s.problem(w, http.StatusMethodNotAllowed, at.path+" does not take "+r.Method, "use "+allowed)
	default:
		at.handler(w, r)
	}
}

// find is the route whose path that is or, of those that it is below, the nearest.
func (s *server) find(path string) *route {
	var below *route
	for i := range s.routes {
		r := &s.routes[i]
		if r.path == path {
			return r
		}
		if strings.HasSuffix(r.path, "/") && strings.HasPrefix(path, r.path) {
			below = r
		}
	}
	return below
}

func (s *server) paths() string {
	var out []string
	for _, r := range s.routes {
		path := r.path
		if path == "/v1/jobs/" {
			path += "NAMESPACE/ID"
		}
		if strings.Count(path, "/") < 3 || !strings.HasPrefix(path, "/debug/") || strings.HasSuffix(path, "/") {
			out = append(out, path)
		}
	}
	return strings.Join(out, ", ")
}

package main

import (
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/config"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/reconcile/controller/server"
	"nomad-reconcile/state/history"
)

// answering answers for the agent: on the socket in the state folder, and where the
// configuration says so on an address.
type answering struct {
	in      *invocation
	agent   *controller.Agent
	metrics *controller.Metrics
	log     logr.Logger

	mu    sync.Mutex
	http  config.HTTP // that is answered on now
	token string      // ... and what must be shown there
	end   func()      // of answering there; nil where nobody does
	all   []func()
}

// open answers on the socket, and on the address of the first configuration: where it
// cannot be listened on, the agent does not start.
func (f *answering) open(c *config.Config) error {
	l, err := server.ListenUnix(filepath.Join(c.State.Dir.Abs, server.SocketName))
	if err != nil {
		return err
	}
	f.all = append(f.all, f.serve(l, server.Options{
		Trusted: true, Pprof: true, Metrics: f.metrics.Handler(), Extra: map[string]http.Handler{applyPath: f.apply()},
	}))
	return f.listen(c.HTTP)
}

func (f *answering) listen(c config.HTTP) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	token, err := readToken(c.TokenFile) // which may be another in the same file
	if c == f.http && (c.Address == "" || f.end != nil && err == nil && token == f.token) {
		return nil
	}
	if f.end != nil {
		f.end()
		f.end = nil
	}
	if f.http, f.token = c, token; c.Address == "" {
		return nil
	}
	if err != nil {
		return err
	}
	l, err := server.ListenTCP(c.Address)
	if err != nil {
		return err
	}
	f.log.Info("listening", "address", l.Addr().String(), "token", token != "")
	f.end = f.serve(l, server.Options{Token: token, Pprof: c.Pprof, Metrics: f.metrics.Handler()})
	return nil
}

// reload answers where a new configuration says. What does not work is told, and the
// agent goes on without.
func (f *answering) reload(c *config.Config) {
	if err := f.listen(c.HTTP); err != nil {
		f.log.Error(err, "nobody answers over HTTP now; it is tried again when something is loaded anew")
	}
}

func readToken(path config.Path) (string, error) {
	if path.Abs == "" {
		return "", nil
	}
	data, err := os.ReadFile(path.Abs)
	if err != nil {
		return "", fmt.Errorf("reading http.token_file %s: %w", path.Shown, unwrapPath(err))
	}
	token := strings.TrimSpace(string(data))
	if token == "" {
		return "", fmt.Errorf("http.token_file %s is empty: write a token into it, `openssl rand -hex 32` makes one", path.Shown)
	}
	return token, nil
}

// serve answers until it is ended.
func (f *answering) serve(l net.Listener, o server.Options) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(ctx, l, server.New(f.agent, encoders(), o), time.Second, f.log); err != nil {
			f.log.Error(err, "nobody answers any more", "address", l.Addr().String())
		}
	}()
	return func() { cancel(); <-ended }
}

func (f *answering) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.end != nil {
		f.end()
	}
	for _, end := range f.all {
		end()
	}
}

// applyPath is where a person's apply hands over what has been approved.
const applyPath = "/v1/apply"

// approved is what it hands over.
type approved struct {
	Saved     json.RawMessage     `json:"saved"` // as reconcile.Save writes it
	Selection reconcile.Selection `json:"selection"`
	Sync      reconcile.Sync      `json:"sync"`
	By        string              `json:"by"`
}

// message is one thing of what the agent answers: a step, then one outcome or an error.
// They are gobs: both ends are this program, and what JSON shows of a run is not all.
type message struct {
	Event   *reconcile.Event
	Outcome *controller.Outcome
	Error   string
}

// apply carries orders out, and tells each step as it comes. A person who goes away
// interrupts the runs, as ^C does without an agent.
func (f *answering) apply() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var o approved
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<30)).Decode(&o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		saved, err := reconcile.LoadSaved(o.Saved)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out, flush := gob.NewEncoder(w), http.NewResponseController(w)
		say := func(t message) {
			_ = out.Encode(t) // who has gone away is told nothing
			_ = flush.Flush()
		}
		outcome, err := f.agent.Carry(r.Context(), controller.Order{Saved: saved, Selection: o.Selection, Sync: o.Sync, By: o.By}, func(e reconcile.Event) {
			say(message{Event: &e})
		})
		if err != nil {
			say(message{Error: err.Error()})
			return
		}
		say(message{Outcome: &outcome})
	})
}

// running reports whether there is an agent.
func (a *agentAt) running(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent/healthz", nil)
	if err != nil {
		return false, err
	}
	resp, err := a.client.Do(req)
	if err == nil {
		return true, resp.Body.Close()
	}
	if err = a.explained(ctx, err); errors.Is(err, errNoAgent) {
		return false, nil
	}
	return false, err
}

// handOver has the agent do what was approved, and shows the same progress.
func (in *invocation) handOver(ctx context.Context, agent *agentAt, s *session, f planFlags, plans []reconcile.Plan, progress *report.Progress) ([]history.Run, int, error) {
	asked, err := in.asked(s, f)
	if err != nil {
		return nil, exitError, err
	}
	saved, err := reconcile.Save(asked, s.policyFiles, plans)
	if err != nil {
		return nil, exitError, err
	}
	body, err := json.Marshal(approved{Saved: saved, Selection: s.sel, Sync: f.syncOf(s.config), By: in.who()})
	if err != nil {
		return nil, exitError, err
	}
	outcome, err := ask(ctx, agent, body, progress)
	if err != nil {
		return nil, exitError, fmt.Errorf("asking the agent: %w", err)
	}
	if outcome.Moved != nil {
		return nil, exitError, in.moved(saved, outcome.Moved, f)
	}
	code := exitOK
	for _, text := range outcome.Errors {
		code = in.fail(errors.New(text))
	}
	return outcome.Runs, code, nil
}

// moved tells what the agent would do instead of what was shown.
func (in *invocation) moved(shown, theirs []byte, f planFlags) error {
	then, err := reconcile.LoadSaved(shown)
	if err != nil {
		return err
	}
	now, err := reconcile.LoadSaved(theirs)
	if err != nil {
		return err
	}
	stale := then.Against(now)
	if f.json {
		err = report.StaleJSON(in.stdout, stale, nil)
	} else {
		report.Stale(in.stdout, stale, in.out)
	}
	return errors.Join(err, fmt.Errorf("what was shown is not what the agent would do (%s); nothing was done: run the command again, after a moment if a policy or the configuration has just changed", why(stale, nil)))
}

func ask(ctx context.Context, agent *agentAt, body []byte, progress *report.Progress) (controller.Outcome, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent"+applyPath, strings.NewReader(string(body)))
	if err != nil {
		return controller.Outcome{}, err
	}
	resp, err := agent.client.Do(req)
	if err != nil {
		return controller.Outcome{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 10_000))
		return controller.Outcome{}, errors.New(strings.TrimSpace(string(text)))
	}
	for lines := gob.NewDecoder(resp.Body); ; {
		var t message
		switch err := lines.Decode(&t); {
		case errors.Is(err, io.EOF):
			return controller.Outcome{}, errors.New("it has ended in the middle; `reconcile history` shows what was done")
		case err != nil:
			return controller.Outcome{}, err
		case t.Error != "":
			return controller.Outcome{}, errors.New(t.Error)
		case t.Outcome != nil:
			return *t.Outcome, nil
		case t.Event != nil && progress != nil:
			progress.Event(*t.Event)
		}
	}
}

// encoders write the documents of the command line.
func encoders() server.Encoders {
	return server.Encoders{
		Status: func(w io.Writer, o controller.Overview) error { return report.StatusJSON(w, report.StatusOf(o)) },
		Job: func(w io.Writer, j server.Job) error {
			return report.JobStatusJSON(w, report.JobStatusOf(j.Status, j.Plan, j.Runs))
		},
		Plans:   func(w io.Writer, plans []reconcile.Plan) error { return report.PlansJSON(w, plans, nil, nil) },
		Runs:    report.HistoryJSON,
		Queued:  report.QueuedJSON,
		Problem: report.ProblemJSON,
	}
}

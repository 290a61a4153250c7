package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	if !s.agent.Alive() {
		s.problem(w, http.StatusServiceUnavailable, "the agent's loop does not move", "look at the agent's log, and restart it")
		return
	}
	plain(w, "ok\n")
}

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	o := s.agent.Overview()
	if !o.Ready {
		text := fmt.Sprintf("the first pass is not done: %d of %d jobs have not been looked at", o.Left, o.Known)
		if o.NomadErr != "" {
			text = "the first pass is not done: " + job.RedactText(o.NomadErr)
		}
		s.problem(w, http.StatusServiceUnavailable, text, "wait, or look with: reconcile status")
		return
	}
	plain(w, "ok\n")
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text)
}

func (s *server) status(w http.ResponseWriter, r *http.Request) {
	if s.unchanged(w, r, s.tag(r, s.agent.Serial())) {
		return
	}
	o := s.agent.Overview()
	w.Header().Set("ETag", s.tag(r, o.Serial))
	s.document(w, r, func(to io.Writer) error { return s.encode.Status(to, o) })
}

// lastRuns is how many runs the document of one job has.
const lastRuns = 5

// job answers /v1/jobs/NAMESPACE/ID. IDs may hold slashes, escaped or not.
func (s *server) job(w http.ResponseWriter, r *http.Request) {
	id, ok := jobOf(strings.TrimPrefix(r.URL.EscapedPath(), "/v1/jobs/"))
	if !ok {
		s.problem(w, http.StatusNotFound, "a job is asked for as /v1/jobs/NAMESPACE/ID", "ask for /v1/status, which lists the jobs")
		return
	}
	o := s.agent.Overview()
	i, found := slices.BinarySearchFunc(o.Jobs, id, func(j controller.Status, id job.ID) int { return j.ID.Compare(id) })
	if !found {
		s.problem(w, http.StatusNotFound, fmt.Sprintf("there is no job %q in the namespace %q", id.Name, id.Namespace), "ask for /v1/status, which lists the jobs")
		return
	}
	d := Job{Status: o.Jobs[i]}
	if plans := s.agent.Plans(id); len(plans) > 0 {
		d.Plan = &plans[0]
	}
	runs, err := s.agent.Runs(r.Context(), &id)
	if err != nil && len(runs) == 0 {
		s.fault(w, err)
		return
	}
	d.Runs = runs[:min(len(runs), lastRuns)]
	s.document(w, r, func(to io.Writer) error { return s.encode.Job(to, d) })
}

func jobOf(escaped string) (job.ID, bool) {
	ns, name, _ := strings.Cut(escaped, "/")
	ns, nsErr := url.PathUnescape(ns)
	name, nameErr := url.PathUnescape(name)
	return job.ID{Namespace: ns, Name: name}, nsErr == nil && nameErr == nil && ns != "" && name != ""
}

// plan answers as `plan -json` does, from what was last worked out. Of jobs in sync
// without findings the agent keeps no plan; what there is to say of one stands in its
// status.
func (s *server) plan(w http.ResponseWriter, r *http.Request) {
	if s.unchanged(w, r, s.tag(r, s.agent.Serial())) {
		return
	}
	o := s.agent.Overview()
	jobs := o.Jobs
	var ids []job.ID
	if names := r.URL.Query()["job"]; len(names) > 0 {
		jobs = nil
		for _, name := range names {
			called := calledBy(o.Jobs, name)
			if len(called) == 0 {
				s.problem(w, http.StatusNotFound, fmt.Sprintf("there is no job %q", name), "ask for /v1/status, which lists the jobs")
				return
			}
			jobs = append(jobs, called...)
		}
		slices.SortFunc(jobs, func(a, b controller.Status) int { return a.ID.Compare(b.ID) })
		jobs = slices.CompactFunc(jobs, func(a, b controller.Status) bool { return a.ID == b.ID })
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
	}
	plans := s.agent.Plans(ids...)
	w.Header().Set("ETag", s.tag(r, o.Serial))
	s.document(w, r, func(to io.Writer) error { return s.encode.Plans(to, whole(jobs, plans)) })
}

// whole has a plan for each job, also for those that are in sync.
func whole(jobs []controller.Status, plans []reconcile.Plan) []reconcile.Plan {
	made := make(map[job.ID]reconcile.Plan, len(plans))
	for _, p := range plans {
		made[p.ID] = p
	}
	out := make([]reconcile.Plan, len(jobs))
	for i, j := range jobs {
		p, ok := made[j.ID]
		if !ok {
			p = reconcile.Plan{ID: j.ID, File: j.File, Source: j.Source, Condition: j.Condition, Reason: j.Reason}
		}
		out[i] = p
	}
	return out
}

func calledBy(jobs []controller.Status, name string) []controller.Status {
	var out []controller.Status
	for _, j := range jobs {
		if j.ID.Called(name) {
			out = append(out, j)
		}
	}
	return out
}

// runsMost is how many runs are listed where nobody says.
const runsMost = 100

func (s *server) runs(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit := runsMost
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			s.problem(w, http.StatusBadRequest, fmt.Sprintf("limit is a number from 1, not %q", text), fmt.Sprintf("leave it away for %d runs", runsMost))
			return
		}
		limit = n
	}
	name := q.Get("job")
	var only *job.ID // the history of one job is read much faster than all
	if called := calledBy(s.agent.Overview().Jobs, name); len(called) == 1 {
		only = &called[0].ID
	}
	runs, err := s.agent.Runs(r.Context(), only)
	if err != nil && len(runs) == 0 {
		s.fault(w, err)
		return
	}
	if name != "" {
		runs = slices.DeleteFunc(slices.Clone(runs), func(run history.Run) bool { return !run.Job.Called(name) })
	}
	runs = runs[:min(len(runs), limit)]
	s.document(w, r, func(to io.Writer) error { return s.encode.Runs(to, runs) })
}

// bodyMost is how long what is sent to us may be.
const bodyMost = 64 << 10

// reconcile has jobs looked at now: those of {"jobs": ["NAME"]}, or all.
func (s *server) reconcile(w http.ResponseWriter, r *http.Request) {
	const shape = `send {"jobs": ["NAME", "NAME@NAMESPACE"]}, or nothing for all jobs`
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMost))
	if _, long := errors.AsType[*http.MaxBytesError](err); long {
		s.problem(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is longer than %d bytes", bodyMost), shape)
		return
	}
	var asked struct {
		Jobs []string `json:"jobs"`
	}
	if body = bytes.TrimSpace(body); err == nil && len(body) > 0 {
		d := json.NewDecoder(bytes.NewReader(body))
		d.DisallowUnknownFields() // else {"job": "web"} would have all looked at
		err = d.Decode(&asked)
	}
	if err != nil {
		s.problem(w, http.StatusBadRequest, "the body cannot be read: "+err.Error(), shape)
		return
	}
	n, err := s.agent.Reconcile(asked.Jobs...)
	if err != nil {
		s.problem(w, http.StatusNotFound, job.RedactText(err.Error()), "ask for /v1/status, which lists the jobs")
		return
	}
	s.send(w, http.StatusAccepted, func(to io.Writer) error { return s.encode.Queued(to, n) })
}

// tag is the name of a document at that serial. It is weak: the bytes may differ.
func (s *server) tag(r *http.Request, serial uint64) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %s?%s %d", s.nonce, r.URL.EscapedPath(), r.URL.RawQuery, serial)
	return fmt.Sprintf(`W/"%016x"`, h.Sum64())
}

// unchanged answers for a document that the client has.
func (s *server) unchanged(w http.ResponseWriter, r *http.Request, tag string) bool {
	if !names(r.Header.Get("If-None-Match"), tag) {
		return false
	}
	w.Header().Set("ETag", tag)
	w.WriteHeader(http.StatusNotModified)
	return true
}

// names: the header has the tag. Weak and strong ones are compared alike.
func names(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" || strings.TrimPrefix(part, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

// document sends one that may be had conditionally. Where no serial names it, its
// bytes do: the history has runs of others too, of which the agent's serial knows
// nothing.
func (s *server) document(w http.ResponseWriter, r *http.Request, write func(io.Writer) error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		s.fault(w, err)
		return
	}
	if w.Header().Get("ETag") == "" {
		h := fnv.New64a()
		_, _ = h.Write(b.Bytes())
		tag := fmt.Sprintf(`W/"%016x"`, h.Sum64())
		if s.unchanged(w, r, tag) {
			return
		}
		w.Header().Set("ETag", tag)
	}
	s.send(w, http.StatusOK, func(to io.Writer) error {
		_, err := to.Write(b.Bytes())
		return err
	})
}

// send writes JSON, whole or not at all.
func (s *server) send(w http.ResponseWriter, status int, write func(io.Writer) error) {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError) // nothing else can be written either
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a client that has gone is no news
}

func (s *server) problem(w http.ResponseWriter, status int, text, next string) {
	s.send(w, status, func(to io.Writer) error { return s.encode.Problem(to, text, next) })
}

func (s *server) fault(w http.ResponseWriter, err error) {
	s.problem(w, http.StatusInternalServerError, job.RedactText(err.Error()), "look at the agent's log")
}

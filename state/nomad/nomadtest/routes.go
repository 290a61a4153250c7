package nomadtest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// refusal is an answer that is not 200.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return refusal{status, fmt.Sprintf(format, args...)}
}

// serve is every request: faults first, then the route.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	w, done := s.misbehave(w, r)
	if done {
		return
	}
	if err := s.route(w, r); err != nil {
		status := http.StatusInternalServerError
		if no, ok := errors.AsType[refusal](err); ok {
			status = no.status
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprint(w, err.Error())
	}
}

// route works on the decoded path, as Nomad does: job IDs may hold slashes.
func (s *Server) route(w http.ResponseWriter, r *http.Request) error {
	path := r.URL.Path
	write := r.Method == http.MethodPut || r.Method == http.MethodPost
	switch {
	case path == "/v1/jobs" && write:
		return s.routeRegister(w, r)
	case path == "/v1/jobs":
		return s.query(w, r, func() (any, uint64, error) { return s.listJobs(namespaceOf(r)), s.index, nil })
	case path == "/v1/jobs/parse" && write:
		return s.routeParse(w, r)
	case strings.HasPrefix(path, "/v1/job/"):
		return s.routeJob(w, r, strings.TrimPrefix(path, "/v1/job/"))
	case path == "/v1/event/stream":
		return s.routeEvents(w, r)
	case path == "/v1/deployments":
		return s.query(w, r, func() (any, uint64, error) { return s.listDeployments(r), s.index, nil })
	case strings.HasPrefix(path, "/v1/deployment/promote/") && write:
		return s.routePromote(w, strings.TrimPrefix(path, "/v1/deployment/promote/"))
	case strings.HasPrefix(path, "/v1/evaluation/"):
		return s.query(w, r, func() (any, uint64, error) { return s.evaluation(strings.TrimPrefix(path, "/v1/evaluation/")) })
	case strings.HasPrefix(path, "/v1/allocation/"):
		return s.query(w, r, func() (any, uint64, error) { return s.allocation(strings.TrimPrefix(path, "/v1/allocation/")) })
	case strings.HasPrefix(path, "/v1/service/"):
		return s.query(w, r, func() (any, uint64, error) {
			return s.registrations(namespaceOf(r), strings.TrimPrefix(path, "/v1/service/")), s.index, nil
		})
	case strings.HasPrefix(path, "/v1/client/allocation/") && strings.HasSuffix(path, "/checks"):
		return s.routeChecks(w, strings.TrimSuffix(strings.TrimPrefix(path, "/v1/client/allocation/"), "/checks"))
	case path == "/v1/node/"+nodeID:
		host, _ := os.Hostname()
		return reply(w, &api.Node{
			ID: nodeID, Name: nodeName, Datacenter: "dc1", NodePool: api.NodePoolDefault, Status: api.NodeStatusReady,
			SchedulingEligibility: api.NodeSchedulingEligible, Attributes: map[string]string{"unique.hostname": host},
		}, 1)
	case strings.HasPrefix(path, "/v1/node/"):
		return refuse(http.StatusNotFound, "node not found")
	case strings.HasPrefix(path, "/v1/client/fs/logs/"):
		return s.routeLogs(w, r, strings.TrimPrefix(path, "/v1/client/fs/logs/"))
	case path == "/v1/status/leader":
		return reply(w, s.listener.Addr().String(), 0)
	}
	return refuse(http.StatusNotFound, "Invalid URL %s %s", r.Method, path)
}

func (s *Server) routeJob(w http.ResponseWriter, r *http.Request, name string) error {
	read := func(name string, get func(*record) (any, uint64)) error {
		id := job.ID{Namespace: namespaceOf(r), Name: name}
		return s.query(w, r, func() (any, uint64, error) {
			out, index := get(cmp.Or(s.jobs[id], &record{}))
			if out == nil {
				return nil, 0, refuse(http.StatusNotFound, "job not found")
			}
			return out, index, nil
		})
	}
	verb := ""
	for _, v := range []string{"/plan", "/submission", "/versions", "/allocations", "/deployments", "/deployment", "/evaluations", "/dispatch", "/periodic/force"} {
		if rest, ok := strings.CutSuffix(name, v); ok {
			name, verb = rest, v
			break
		}
	}
	switch verb {
	case "":
		if r.Method == http.MethodDelete {
			return s.routeDeregister(w, r, job.ID{Namespace: namespaceOf(r), Name: name})
		}
	case "/dispatch", "/periodic/force":
		return s.routeLaunch(w, r, job.ID{Namespace: namespaceOf(r), Name: name}, verb)
	case "/plan":
		return s.routePlan(w, r)
	case "/submission":
		return s.routeSubmission(w, r, job.ID{Namespace: namespaceOf(r), Name: name})
	case "/versions":
		return read(name, (*record).listVersions)
	case "/allocations":
		return read(name, (*record).listAllocs)
	case "/deployments":
		return read(name, (*record).listDeployments)
	case "/deployment":
		return read(name, (*record).latestDeployment)
	case "/evaluations":
		return read(name, (*record).listEvaluations)
	}
	return read(name, (*record).live)
}

func namespaceOf(r *http.Request) string {
	return cmp.Or(r.URL.Query().Get("namespace"), job.DefaultNamespace)
}

// query answers a read, and holds it while its index is not past the one asked for.
func (s *Server) query(w http.ResponseWriter, r *http.Request, get func() (any, uint64, error)) error {
	past, _ := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	over := time.NewTimer(waitOf(r))
	defer over.Stop()
	for {
		s.mu.Lock()
		out, index, err := get()
		body, encodeErr := json.Marshal(out)
		moved := s.moved
		s.mu.Unlock()
		if err := errors.Join(err, encodeErr); err != nil {
			return err
		}
		if index > past {
			return send(w, body, index)
		}
		select {
		case <-moved:
		case <-over.C:
			return send(w, body, index)
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// waitOf is how long a blocking query may be held.
func waitOf(r *http.Request) time.Duration {
	const longest = 5 * time.Minute
	d, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil || d <= 0 || d > longest {
		return longest
	}
	return d
}

func reply(w http.ResponseWriter, out any, index uint64) error {
	body, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return send(w, body, index)
}

func send(w http.ResponseWriter, body []byte, index uint64) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Nomad-Index", strconv.FormatUint(index, 10))
	h.Set("X-Nomad-LastContact", "0")
	h.Set("X-Nomad-KnownLeader", "true")
	w.Write(body)
	return nil
}

func decode(r *http.Request, into any) error {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	return nil
}

func (s *Server) routeRegister(w http.ResponseWriter, r *http.Request) error {
	var req api.JobRegisterRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	if req.Job == nil {
		return refuse(http.StatusBadRequest, "Job must be specified")
	}
	if ns := r.URL.Query().Get("namespace"); ns != "" {
		req.Job.Namespace = &ns
	}
	s.mu.Lock()
	resp, err := s.register(&req)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return reply(w, resp, resp.LastIndex)
}

// routeDeregister stops a job as `nomad job stop` does, which checks no index; with
// purge it is forgotten too.
func (s *Server) routeDeregister(w http.ResponseWriter, r *http.Request, id job.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.jobs[id]
	if rec == nil {
		return refuse(http.StatusNotFound, "job not found")
	}
	if r.URL.Query().Get("purge") == "true" {
		s.purge(id, rec)
	} else {
		stopped := job.Clone(rec.versions[0])
		stopped.Stop = new(true)
		s.store(rec, stopped, nil, jobDeregistered)
	}
	resp := api.JobDeregisterResponse{JobModifyIndex: s.index}
	if live := rec.versions[0]; !live.IsPeriodic() && !live.IsParameterized() {
		resp.EvalCreateIndex = s.index
		resp.EvalID = s.evaluate(rec, s.index, "job-deregister", jobDeregistered).ID
	}
	return reply(w, resp, s.index)
}

// purge leaves nothing of a job but what still runs, which is told to stop.
func (s *Server) purge(id job.ID, rec *record) {
	live := rec.versions[0]
	live.Stop, live.ModifyIndex = new(true), new(s.next())
	delete(s.jobs, id)
	s.tell(event{
		Topic: "Job", Type: jobDeregistered, Key: id.Name, Namespace: id.Namespace,
		payload: func() any { return map[string]any{"Job": live, "Deleted": true} },
	})
}

func (s *Server) routePlan(w http.ResponseWriter, r *http.Request) error {
	var req api.JobPlanRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	if req.Job == nil || req.Job.ID == nil {
		return refuse(http.StatusBadRequest, "Job must be specified")
	}
	if ns := r.URL.Query().Get("namespace"); ns != "" {
		req.Job.Namespace = &ns
	}
	s.mu.Lock()
	resp, err := s.plan(req.Job, req.Diff)
	index := s.index
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return reply(w, resp, index)
}

func (s *Server) routeParse(w http.ResponseWriter, r *http.Request) error {
	var req api.JobsParseRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	if s.opts.Parse == nil {
		return refuse(http.StatusNotImplemented, "this Nomad cannot parse job files")
	}
	j, err := s.opts.Parse(req.JobHCL, req.Variables)
	if err != nil {
		return refuse(http.StatusBadRequest, "Failed to parse job: %v", err)
	}
	if req.Canonicalize {
		j.Canonicalize()
	}
	return reply(w, j, 0)
}

func (s *Server) routeSubmission(w http.ResponseWriter, r *http.Request, id job.ID) error {
	version, err := strconv.ParseUint(r.URL.Query().Get("version"), 10, 64)
	if err != nil {
		return refuse(http.StatusBadRequest, "Unable to parse job submission version parameter")
	}
	return s.query(w, r, func() (any, uint64, error) {
		rec := s.jobs[id]
		if rec == nil || rec.submissions[version] == nil {
			return nil, 0, refuse(http.StatusNotFound, "job source not found")
		}
		return rec.submissions[version], *rec.versions[0].JobModifyIndex, nil
	})
}

func (s *Server) listJobs(ns string) []*api.JobListStub {
	stubs := []*api.JobListStub{}
	for id, rec := range s.jobs {
		if ns == "*" || ns == id.Namespace {
			stubs = append(stubs, rec.stub())
		}
	}
	slices.SortFunc(stubs, func(a, b *api.JobListStub) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID))
	})
	return stubs
}

// listDeployments are those of a namespace, or of all; as many as a page may have.
func (s *Server) listDeployments(r *http.Request) []*api.Deployment {
	ns, list := namespaceOf(r), []*api.Deployment{}
	most, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	for id, rec := range s.jobs {
		for _, d := range rec.deployments {
			if most > 0 && len(list) == most {
				return list
			}
			if ns == "*" || ns == id.Namespace {
				list = append(list, d.Deployment)
			}
		}
	}
	return list
}

func (s *Server) evaluation(id string) (any, uint64, error) {
	e := s.evaluations[id]
	if e == nil {
		return nil, 0, refuse(http.StatusNotFound, "eval not found")
	}
	return e, e.ModifyIndex, nil
}

func (s *Server) allocation(id string) (any, uint64, error) {
	a := s.allocs[id]
	if a == nil {
		return nil, 0, refuse(http.StatusNotFound, "alloc not found")
	}
	return a.Allocation, a.ModifyIndex, nil
}

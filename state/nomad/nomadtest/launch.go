package nomadtest

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// routeLaunch makes a child of a parameterized or periodic job.
func (s *Server) routeLaunch(w http.ResponseWriter, r *http.Request, id job.ID, verb string) error {
	var req api.JobDispatchRequest
	if verb == "/dispatch" {
		if err := decode(r, &req); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rec := s.jobs[id]
	if rec == nil {
		return refuse(http.StatusNotFound, "job not found")
	}
	child, err := childOf(rec.versions[0], verb, &req)
	if err != nil {
		return err
	}
	made := &record{submissions: map[uint64]*api.JobSubmission{}}
	s.jobs[job.ID{Namespace: id.Namespace, Name: *child.ID}] = made
	s.store(made, child, nil)
	e := s.evaluate(made, *child.JobModifyIndex, "job-register")
	return reply(w, api.JobDispatchResponse{
		DispatchedJobID: *child.ID, EvalID: e.ID, EvalCreateIndex: e.CreateIndex, JobCreateIndex: *child.CreateIndex,
	}, s.index)
}

func childOf(parent *api.Job, verb string, req *api.JobDispatchRequest) (*api.Job, error) {
	child := job.Clone(parent)
	child.ParentID, child.Version = parent.ID, new(uint64(0))
	now := time.Now().Unix()
	if verb == "/periodic/force" {
		if !parent.IsPeriodic() {
			return nil, refuse(http.StatusInternalServerError, "can't force launch non-periodic job")
		}
		child.ID, child.Periodic = new(fmt.Sprintf("%s/periodic-%d", *parent.ID, now)), nil
		child.Name = child.ID
		return child, nil
	}
	if !parent.IsParameterized() {
		return nil, refuse(http.StatusInternalServerError, "Specified job %q is not a parameterized job", *parent.ID)
	}
	if missing := missingMeta(parent, req.Meta); len(missing) > 0 {
		return nil, refuse(http.StatusInternalServerError, "Dispatch did not provide required meta keys: %v", missing)
	}
	child.ID, child.Dispatched, child.Payload = new(fmt.Sprintf("%s/dispatch-%d-%s", *parent.ID, now, uuid.NewString()[:8])), true, req.Payload
	child.Name = child.ID
	if child.Meta == nil {
		child.Meta = map[string]string{}
	}
	maps.Copy(child.Meta, req.Meta)
	return child, nil
}

func missingMeta(j *api.Job, given map[string]string) []string {
	var out []string
	for _, key := range j.ParameterizedJob.MetaRequired {
		if strings.TrimSpace(given[key]) == "" {
			out = append(out, key)
		}
	}
	return out
}

package nomadtest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
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
	switch {
	case rec == nil && verb == "/dispatch":
		return refuse(http.StatusInternalServerError, "parameterized job not found")
	case rec == nil:
		return refuse(http.StatusInternalServerError, "job not found")
	}
	child, err := childOf(rec.versions[0], verb, &req)
	if err != nil {
		return err
	}
	made := &record{submissions: map[uint64]*api.JobSubmission{}}
	s.jobs[job.ID{Namespace: id.Namespace, Name: *child.ID}] = made
	rec.children = append(rec.children, made)
	s.store(made, child, nil, jobRegistered)
	e := s.evaluate(made, *child.JobModifyIndex, "job-register", jobRegistered)
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
		if *parent.Stop {
			return nil, refuse(http.StatusInternalServerError, "force launch for job %q failed: can't force run non-tracked job %q (%s)", *parent.ID, *parent.ID, *parent.Namespace)
		}
		child.ID, child.Periodic = new(fmt.Sprintf("%s/periodic-%d", *parent.ID, now)), nil
		child.Name = child.ID
		return child, nil
	}
	if !parent.IsParameterized() {
		return nil, refuse(http.StatusInternalServerError, "Specified job %q is not a parameterized job", *parent.ID)
	}
	if why := undispatchable(parent, req); why != "" {
		return nil, refuse(http.StatusInternalServerError, "%s", why)
	}
	child.ID, child.Dispatched, child.Payload = new(fmt.Sprintf("%s/dispatch-%d-%s", *parent.ID, now, uuid.NewString()[:8])), true, req.Payload
	child.Name = child.ID
	if child.Meta == nil {
		child.Meta = map[string]string{}
	}
	maps.Copy(child.Meta, req.Meta)
	return child, nil
}

// longestPayload is Nomad's own bound, in bytes.
const longestPayload = 16 << 10

// undispatchable says why a parameterized job is not to be dispatched so.
func undispatchable(j *api.Job, req *api.JobDispatchRequest) string {
	p := j.ParameterizedJob
	switch {
	case *j.Stop:
		return fmt.Sprintf("Specified job %q is stopped", *j.ID)
	case p.Payload == "required" && len(req.Payload) == 0:
		return "Payload is not provided but required by parameterized job"
	case p.Payload == "forbidden" && len(req.Payload) > 0:
		return "Payload provided but forbidden by parameterized job"
	case len(req.Payload) > longestPayload:
		return fmt.Sprintf("Payload exceeds maximum size; %d > %d", len(req.Payload), longestPayload)
	}
	if missing := missingMeta(j, req.Meta); len(missing) > 0 {
		return fmt.Sprintf("Dispatch did not provide required meta keys: %v", missing)
	}
	known := slices.Concat(p.MetaRequired, p.MetaOptional)
	if other := slices.DeleteFunc(slices.Sorted(maps.Keys(req.Meta)), func(k string) bool { return slices.Contains(known, k) }); len(other) > 0 {
		return fmt.Sprintf("Dispatch request included unpermitted metadata keys: %v", other)
	}
	return ""
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

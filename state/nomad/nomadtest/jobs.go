package nomadtest

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// keptVersions is how many versions of a job Nomad keeps.
const keptVersions = 6

// record is everything about one job ID. A record without versions is a job that
// does not exist.
type record struct {
	versions    []*api.Job // newest first; the first is the live job
	submissions map[uint64]*api.JobSubmission
	allocs      []*alloc // in the order of their creation
	deployments []*deployment
	evaluations []*api.Evaluation
	children    []*record // that were launched from it
	old         bool      // of a Nomad whose system jobs have no deployments
}

func (rec *record) live() (any, uint64) {
	if len(rec.versions) == 0 {
		return nil, 0
	}
	return rec.versions[0], *rec.versions[0].ModifyIndex
}

func (rec *record) listVersions() (any, uint64) {
	if len(rec.versions) == 0 {
		return nil, 0
	}
	return map[string]any{"Versions": rec.versions}, *rec.versions[0].ModifyIndex
}

func (rec *record) listAllocs() (any, uint64) {
	stubs, index := []*api.AllocationListStub{}, uint64(1)
	for _, a := range rec.allocs {
		stubs = append(stubs, a.Stub())
		index = max(index, a.ModifyIndex)
	}
	return stubs, index
}

func (rec *record) listDeployments() (any, uint64) {
	list, index := []*api.Deployment{}, uint64(1)
	for _, d := range rec.deployments {
		list = append(list, d.Deployment)
		index = max(index, d.ModifyIndex)
	}
	return list, index
}

func (rec *record) latestDeployment() (any, uint64) {
	if len(rec.deployments) == 0 {
		return (*api.Deployment)(nil), 1
	}
	d := rec.deployments[len(rec.deployments)-1]
	return d.Deployment, d.ModifyIndex
}

func (rec *record) listEvaluations() (any, uint64) {
	index := uint64(1)
	for _, e := range rec.evaluations {
		index = max(index, e.ModifyIndex)
	}
	return append([]*api.Evaluation{}, rec.evaluations...), index
}

func (rec *record) stub() *api.JobListStub {
	j := rec.versions[0]
	return &api.JobListStub{
		ID: *j.ID, ParentID: value(j.ParentID), Name: *j.Name, Namespace: *j.Namespace,
		Datacenters: j.Datacenters, Type: *j.Type, Priority: *j.Priority,
		Periodic: j.IsPeriodic(), ParameterizedJob: j.IsParameterized(), Stop: *j.Stop,
		Status: *j.Status, StatusDescription: value(j.StatusDescription), CreateIndex: *j.CreateIndex, ModifyIndex: *j.ModifyIndex,
		JobModifyIndex: *j.JobModifyIndex, SubmitTime: *j.SubmitTime,
		JobSummary: rec.summary(),
	}
}

// summary counts the allocations of every group that the job ever had, those that
// have ended too.
func (rec *record) summary() *api.JobSummary {
	j := rec.versions[0]
	out := &api.JobSummary{
		JobID: *j.ID, Namespace: *j.Namespace, Summary: map[string]api.TaskGroupSummary{},
		Children: rec.childrenSummary(), CreateIndex: *j.CreateIndex, ModifyIndex: *j.ModifyIndex,
	}
	for _, v := range rec.versions {
		for _, g := range v.TaskGroups {
			out.Summary[*g.Name] = api.TaskGroupSummary{Queued: rec.queued(*g.Name)}
		}
	}
	for _, a := range rec.allocs {
		g := out.Summary[a.TaskGroup]
		switch a.ClientStatus {
		case api.AllocClientStatusPending:
			g.Starting++
		case api.AllocClientStatusRunning:
			g.Running++
		case api.AllocClientStatusComplete:
			g.Complete++
		case api.AllocClientStatusFailed:
			g.Failed++
		}
		out.Summary[a.TaskGroup] = g
		out.ModifyIndex = max(out.ModifyIndex, a.ModifyIndex)
	}
	return out
}

// queued is what the last evaluation found no place for.
func (rec *record) queued(group string) int {
	if len(rec.evaluations) == 0 {
		return 0
	}
	return rec.evaluations[len(rec.evaluations)-1].QueuedAllocations[group]
}

func (rec *record) childrenSummary() *api.JobChildrenSummary {
	out := &api.JobChildrenSummary{}
	for _, child := range rec.children {
		switch *child.versions[0].Status {
		case "pending":
			out.Pending++
		case "running":
			out.Running++
		default:
			out.Dead++
		}
	}
	return out
}

// register is the register call: it checks, makes a version where something
// changed, and evaluates the job in any case.
func (s *Server) register(req *api.JobRegisterRequest) (*api.JobRegisterResponse, error) {
	j := req.Job
	canonicalize(j)
	if err := s.validate(j); err != nil {
		return nil, err
	}
	id := job.ID{Namespace: *j.Namespace, Name: *j.ID}
	rec := s.jobs[id]
	if err := enforce(rec, req); err != nil {
		return nil, err
	}
	if rec == nil {
		rec = &record{submissions: map[uint64]*api.JobSubmission{}, old: s.opts.NoSystemDeployments}
		s.jobs[id] = rec
	}
	changed := len(rec.versions) == 0 || !sameSpec(rec.versions[0], j)
	if changed {
		s.store(rec, j, req.Submission, jobRegistered)
	}
	live := rec.versions[0]
	resp := &api.JobRegisterResponse{JobModifyIndex: *live.JobModifyIndex, QueryMeta: api.QueryMeta{LastIndex: s.index}}
	if !changed {
		resp.JobModifyIndex = *live.ModifyIndex // Nomad's own inaccuracy
	}
	if !live.IsPeriodic() && !live.IsParameterized() {
		at, kind := *live.JobModifyIndex, jobRegistered
		if !changed {
			at, kind = s.next(), evaluationUpdated
		}
		resp.EvalID = s.evaluate(rec, at, "job-register", kind).ID
		resp.EvalCreateIndex = at
		resp.LastIndex = at
	}
	return resp, nil
}

// enforce is Nomad's check-and-set, with its words and its status.
func enforce(rec *record, req *api.JobRegisterRequest) error {
	if !req.EnforceIndex {
		return nil
	}
	const prefix = api.RegisterEnforceIndexErrPrefix
	want := req.JobModifyIndex
	switch {
	case rec == nil && want != 0:
		return refuse(http.StatusInternalServerError, "%s %d: job does not exist", prefix, want)
	case rec != nil && want == 0:
		return refuse(http.StatusInternalServerError, "%s 0: job already exists", prefix)
	case rec != nil && want != *rec.versions[0].JobModifyIndex:
		return refuse(http.StatusInternalServerError, "%s %d: job exists with conflicting job modify index: %d", prefix, want, *rec.versions[0].JobModifyIndex)
	}
	return nil
}

// store makes j the live job. Without a submission it inherits that of the version
// which it carries.
func (s *Server) store(rec *record, j *api.Job, sub *api.JobSubmission, kind string) {
	index := s.next()
	j.CreateIndex, j.ModifyIndex, j.JobModifyIndex = new(index), new(index), new(index)
	j.SubmitTime, j.Stable = new(time.Now().UnixNano()), new(false)
	j.Status, j.StatusDescription = new("pending"), new("")
	version := value(j.Version)
	if len(rec.versions) > 0 {
		old := rec.versions[0]
		j.CreateIndex, j.Status = old.CreateIndex, new(*old.Status)
		if version <= *old.Version {
			if sub == nil {
				sub = rec.submissions[version]
			}
			version = *old.Version + 1
		}
	}
	j.Version = &version
	if sub != nil {
		own := *sub
		own.VariableFlags = maps.Clone(sub.VariableFlags)
		rec.submissions[version] = &own
	}
	rec.versions = slices.Insert(rec.versions, 0, j)
	rec.forget()
	s.tellJob(j, kind)
	s.settle(rec, kind)
}

// forget drops the versions that Nomad would not keep.
func (rec *record) forget() {
	if len(rec.versions) <= keptVersions {
		return
	}
	for _, old := range rec.versions[keptVersions:] {
		delete(rec.submissions, *old.Version)
	}
	rec.versions = rec.versions[:keptVersions]
}

// evaluate places and stops what the job needs, at once.
func (s *Server) evaluate(rec *record, index uint64, trigger, kind string) *api.Evaluation {
	j := rec.versions[0]
	e := &api.Evaluation{
		ID: uuid.NewString(), Namespace: *j.Namespace, JobID: *j.ID, Type: *j.Type,
		Priority: *j.Priority, TriggeredBy: trigger, JobModifyIndex: *j.JobModifyIndex,
		Status: "complete", QueuedAllocations: map[string]int{}, SnapshotIndex: index,
		CreateIndex: index, CreateTime: time.Now().UnixNano(),
	}
	s.evaluations[e.ID] = e
	rec.evaluations = append(rec.evaluations, e)
	for _, g := range j.TaskGroups {
		e.QueuedAllocations[*g.Name] = 0
	}
	s.tellEvaluation(e, kind)
	s.reconcile(rec, e)
	if d := rec.deploymentOf(j); d != nil {
		e.DeploymentID = d.ID
	} else if n := len(rec.deployments); n > 0 && (*j.Stop || rec.stuck(j)) {
		e.DeploymentID = rec.deployments[n-1].ID
	}
	e.ModifyIndex, e.ModifyTime = s.next(), time.Now().UnixNano()
	s.tellEvaluation(e, evaluationUpdated)
	s.settle(rec, evaluationUpdated)
	return e
}

// settle gives the job the status that its allocations make.
func (s *Server) settle(rec *record, kind string) {
	j := rec.versions[0]
	if status := rec.status(); status != *j.Status {
		j.Status = &status
		j.ModifyIndex = new(s.next())
		if s.jobs[job.ID{Namespace: *j.Namespace, Name: *j.ID}] == rec { // it may be purged
			s.tellJob(j, kind)
		}
	}
}

func (rec *record) status() string {
	j := rec.versions[0]
	if *j.Stop {
		return "dead"
	}
	if j.IsPeriodic() || j.IsParameterized() {
		return "running"
	}
	blocked := len(rec.evaluations) > 0 && rec.blocked()
	if blocked && !isBatch(j) {
		return "running"
	}
	waiting := len(rec.evaluations) == 0 || blocked
	for _, a := range rec.allocs {
		if a.DesiredStatus == "run" && !a.ClientTerminalStatus() {
			return "running"
		}
		waiting = waiting || a.again != nil
	}
	if waiting {
		return "pending"
	}
	return "dead"
}

// blocked: what the live version needs has no place.
func (rec *record) blocked() bool {
	e := rec.evaluations[len(rec.evaluations)-1]
	return e.Status == "blocked" && e.JobModifyIndex == *rec.versions[0].JobModifyIndex
}

package nomadtest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// deployment is a deployment with its timers, one for each group.
type deployment struct {
	*api.Deployment
	deadlines map[string]*time.Timer
}

// deploymentOf is the deployment of one version of the job, running or ended; nil
// where it has none.
func (rec *record) deploymentOf(j *api.Job) *deployment {
	for _, d := range rec.deployments {
		if d.JobSpecModifyIndex == *j.JobModifyIndex {
			return d
		}
	}
	return nil
}

// watched tells whether changes of a group go through a deployment.
func (rec *record) watched(j *api.Job, g *api.TaskGroup) bool {
	kind := *j.Type == api.JobTypeService || *j.Type == api.JobTypeSystem && !rec.old
	return kind && !*j.Stop && g.Update != nil && value(g.Update.MaxParallel) > 0
}

// room is how many allocations of a group may be replaced now: the deployment goes
// on when those that it placed are healthy.
func (rec *record) room(j *api.Job, g *api.TaskGroup) int {
	if !rec.watched(j, g) {
		return -1
	}
	d := rec.deploymentOf(j)
	if d == nil {
		return *g.Update.MaxParallel
	}
	st := d.TaskGroups[*g.Name]
	if d.Status != api.DeploymentStatusRunning || st == nil {
		return 0
	}
	return max(*g.Update.MaxParallel-(st.PlacedAllocs-st.HealthyAllocs), 0)
}

// deploy starts the deployment of the live job, where there is one to start.
func (s *Server) deploy(rec *record, needs map[string]need) *deployment {
	j, now := rec.versions[0], time.Now()
	groups := map[string]*api.DeploymentState{}
	for _, g := range j.TaskGroups {
		if rec.watched(j, g) && needs[*g.Name].changes() {
			groups[*g.Name] = &api.DeploymentState{
				AutoRevert: *g.Update.AutoRevert, ProgressDeadline: *g.Update.ProgressDeadline,
				DesiredTotal: countOf(j, g), DesiredCanaries: len(needs[*g.Name].canary),
			}
		}
	}
	if len(groups) == 0 || rec.stuck(j) {
		return nil
	}
	index := s.next()
	d := &deployment{
		Deployment: &api.Deployment{
			ID: uuid.NewString(), Namespace: *j.Namespace, JobID: *j.ID, JobVersion: *j.Version,
			JobModifyIndex: *j.ModifyIndex, JobSpecModifyIndex: *j.JobModifyIndex, JobCreateIndex: *j.CreateIndex,
			TaskGroups: groups, Status: api.DeploymentStatusRunning, StatusDescription: running(j, groups),
			CreateIndex: index, ModifyIndex: index, CreateTime: now.UnixNano(), ModifyTime: now.UnixNano(),
		},
		deadlines: map[string]*time.Timer{},
	}
	rec.deployments = append(rec.deployments, d)
	s.tellDeployment(d, planResult)
	for name := range groups {
		s.progressed(rec, d, name)
	}
	return d
}

// stuck: after a failed deployment of a system job there is no other.
func (rec *record) stuck(j *api.Job) bool {
	n := len(rec.deployments)
	return isSystem(j) && n > 0 && rec.deployments[n-1].Status == api.DeploymentStatusFailed
}

// running is how Nomad describes a deployment under way.
func running(j *api.Job, groups map[string]*api.DeploymentState) string {
	canaries, byHand := false, false
	for name, st := range groups {
		if st.DesiredCanaries > 0 && !st.Promoted {
			canaries, byHand = true, byHand || !*groupOf(j, name).Update.AutoPromote
		}
	}
	switch {
	case byHand:
		return "Deployment is running but requires manual promotion"
	case canaries:
		return "Deployment is running pending automatic promotion"
	}
	return "Deployment is running"
}

// promote lets the canaries take their places.
func (s *Server) promote(rec *record, d *deployment) {
	for _, st := range d.TaskGroups {
		st.Promoted = st.DesiredCanaries > 0
	}
	for _, a := range rec.allocs {
		if a.canary && a.DeploymentID == d.ID {
			a.canary = false
		}
	}
	d.StatusDescription, d.ModifyIndex = running(rec.versions[0], d.TaskGroups), s.next()
	s.tellDeployment(d, deploymentPromotion)
	for name := range d.TaskGroups {
		s.progressed(rec, d, name)
	}
	s.evaluate(rec, s.next(), "deployment-watcher", deploymentPromotion)
	s.advance(rec, d)
}

// canariesLeft tells whether a group waits for its canaries, and whether they are
// healthy.
func canariesLeft(st *api.DeploymentState) (waits, healthy bool) {
	return st.DesiredCanaries > 0 && !st.Promoted, st.HealthyAllocs >= st.DesiredCanaries
}

// progressed gives a group another progress_deadline.
func (s *Server) progressed(rec *record, d *deployment, group string) {
	st := d.TaskGroups[group]
	if st.ProgressDeadline == 0 {
		return
	}
	if t := d.deadlines[group]; t != nil {
		t.Stop()
	}
	st.RequireProgressBy = time.Now().Add(st.ProgressDeadline)
	d.deadlines[group] = s.after(st.ProgressDeadline, func() {
		if waits, healthy := canariesLeft(st); waits && healthy {
			return
		}
		late := !time.Now().Before(st.RequireProgressBy)
		if late && d.Status == api.DeploymentStatusRunning && st.HealthyAllocs < st.DesiredTotal {
			s.failed(rec, d, "Failed due to progress deadline")
		}
	})
}

// end gives a deployment its last status.
func (s *Server) end(d *deployment, status, why, kind string) {
	for _, t := range d.deadlines {
		t.Stop()
	}
	d.Status, d.StatusDescription = status, why
	d.ModifyIndex, d.ModifyTime = s.next(), time.Now().UnixNano()
	s.tellDeployment(d, kind)
}

// retire cancels the deployments that the live job has overtaken.
func (s *Server) retire(rec *record) {
	j := rec.versions[0]
	for _, d := range rec.deployments {
		switch {
		case d.Status != api.DeploymentStatusRunning:
		case *j.Stop:
			s.end(d, api.DeploymentStatusCancelled, "Cancelled because job is stopped", planResult)
		case d.JobSpecModifyIndex != *j.JobModifyIndex:
			s.end(d, api.DeploymentStatusCancelled, "Cancelled due to newer version of job", planResult)
		}
	}
}

// failed ends a deployment and rolls the job back where its update block says so.
func (s *Server) failed(rec *record, d *deployment, why string) {
	revert := false
	for _, st := range d.TaskGroups {
		revert = revert || st.AutoRevert && st.HealthyAllocs < st.DesiredTotal
	}
	if !revert {
		s.end(d, api.DeploymentStatusFailed, why, deploymentUpdate)
		s.evaluate(rec, s.next(), "deployment-watcher", deploymentUpdate)
		return
	}
	stable := rec.stable()
	switch {
	case stable == nil:
		why += " - no stable job version to auto revert to"
	case sameSpec(stable, rec.versions[0]):
		why += fmt.Sprintf(" - not rolling back to stable job version %d as current job has same specification", *stable.Version)
		stable = nil
	default:
		why += fmt.Sprintf(" - rolling back to job version %d", *stable.Version)
	}
	s.end(d, api.DeploymentStatusFailed, why, deploymentUpdate)
	if stable != nil {
		s.store(rec, job.Clone(stable), nil, deploymentUpdate)
	}
	s.evaluate(rec, s.next(), "deployment-watcher", deploymentUpdate)
}

// stable is the newest version that a deployment found healthy.
func (rec *record) stable() *api.Job {
	for _, v := range rec.versions {
		if *v.Stable {
			return v
		}
	}
	return nil
}

// track puts an allocation under a deployment and starts to watch its health.
func (s *Server) track(a *alloc, d *deployment) {
	stopTimers(a)
	if d == nil || d.Status != api.DeploymentStatusRunning || d.TaskGroups[a.TaskGroup] == nil {
		return
	}
	a.DeploymentID, a.DeploymentStatus, a.canary = d.ID, nil, false
	d.TaskGroups[a.TaskGroup].PlacedAllocs++
	d.ModifyIndex = s.next()
	s.tellDeployment(d, planResult)
	u := groupOf(a.Job, a.TaskGroup).Update
	a.deadline = s.after(*u.HealthyDeadline, func() {
		s.unhealthy(a, fmt.Sprintf("Task not running for min_healthy_time of %v by healthy_deadline of %v", *u.MinHealthyTime, *u.HealthyDeadline))
	})
	s.watch(a)
}

func stopTimers(a *alloc) {
	for _, t := range []**time.Timer{&a.healthy, &a.deadline, &a.again} {
		if *t != nil {
			(*t).Stop()
			*t = nil
		}
	}
}

// watch looks at an allocation's health after each change of its tasks.
func (s *Server) watch(a *alloc) {
	if a.deadline == nil { // not watched, or the verdict is in
		return
	}
	switch {
	case a.ClientStatus == api.AllocClientStatusFailed:
		s.unhealthy(a, "Unhealthy because of failed task")
	case !a.steady():
		if a.healthy != nil {
			a.healthy.Stop()
			a.healthy = nil
		}
	case a.healthy == nil:
		s.healthyAfter(a, *groupOf(a.Job, a.TaskGroup).Update.MinHealthyTime)
	}
}

// healthyAfter calls an allocation healthy if it is still steady then and its checks
// pass; while they do not, it asks them again.
func (s *Server) healthyAfter(a *alloc, d time.Duration) {
	var own *time.Timer
	own = s.after(d, func() {
		switch checks := a.counting(); {
		case a.healthy != own: // a task ended while this waited for the lock
		case len(checks) == 0:
			s.verdict(a, true)
		default:
			s.running.Go(func() { s.asked(a, own, allPass(checks)) })
		}
	})
	a.healthy = own
}

// asked hears what an allocation's checks said when its timer had run out.
func (s *Server) asked(a *alloc, timer *time.Timer, pass bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx.Err() != nil || a.healthy != timer:
	case pass:
		s.verdict(a, true)
	default:
		s.healthyAfter(a, checksAgain)
	}
}

func (s *Server) unhealthy(a *alloc, why string) {
	if a.deadline == nil {
		return
	}
	for _, st := range a.TaskStates {
		st.Events = append(st.Events, newEvent("Alloc Unhealthy", why, map[string]string{"message": why}))
	}
	s.verdict(a, false)
}

// verdict says once whether an allocation is healthy, and lets its deployment go on.
func (s *Server) verdict(a *alloc, healthy bool) {
	stopTimers(a)
	index, now := s.next(), time.Now()
	a.ModifyIndex = index
	a.DeploymentStatus = &api.AllocDeploymentStatus{Healthy: &healthy, Timestamp: now, ModifyIndex: index, Canary: a.canary}
	s.tellAlloc(a, allocationUpdated)
	rec := a.record
	d := rec.deploymentOf(a.Job)
	if d == nil || d.Status != api.DeploymentStatusRunning {
		return
	}
	st := d.TaskGroups[a.TaskGroup]
	d.ModifyIndex, d.ModifyTime = index, now.UnixNano()
	if !healthy {
		st.UnhealthyAllocs++
		s.tellDeployment(d, allocationUpdated)
		if _, again := a.reschedule(); st.ProgressDeadline == 0 || !again {
			s.failed(rec, d, "Failed due to unhealthy allocations")
		}
		return
	}
	st.HealthyAllocs++
	s.tellDeployment(d, allocationUpdated)
	s.progressed(rec, d, a.TaskGroup)
	s.advance(rec, d)
}

// advance ends a deployment whose groups are all healthy, or goes on with it.
func (s *Server) advance(rec *record, d *deployment) {
	if d.Status != api.DeploymentStatusRunning {
		return
	}
	waiting := false
	for _, st := range d.TaskGroups {
		waits, healthy := canariesLeft(st)
		if waits && !healthy {
			return
		}
		waiting = waiting || waits
	}
	if waiting {
		if !strings.Contains(d.StatusDescription, "manual") {
			s.promote(rec, d)
		}
		return
	}
	for _, st := range d.TaskGroups {
		if st.HealthyAllocs < st.DesiredTotal {
			s.evaluate(rec, s.next(), "deployment-watcher", deploymentUpdate)
			return
		}
	}
	s.end(d, api.DeploymentStatusSuccessful, "Deployment completed successfully", deploymentUpdate)
	j := rec.versions[0]
	j.Stable, j.ModifyIndex = new(true), new(s.next())
	s.tellJob(j, deploymentUpdate)
}

// routePromote promotes all canaries of a deployment.
func (s *Server) routePromote(w http.ResponseWriter, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rec := range s.jobs {
		for _, d := range rec.deployments {
			if d.ID != id {
				continue
			}
			if d.Status != api.DeploymentStatusRunning {
				return refuse(http.StatusInternalServerError, "can't promote terminal deployment")
			}
			s.promote(rec, d)
			return reply(w, api.DeploymentUpdateResponse{DeploymentModifyIndex: d.ModifyIndex}, s.index)
		}
	}
	return refuse(http.StatusNotFound, "deployment not found")
}

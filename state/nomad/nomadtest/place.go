package nomadtest

import (
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/nomad/api"
)

// need is what one group lacks of what a job says.
type need struct {
	place   []int // indices without an allocation
	stop    []*alloc
	inPlace []*alloc // of an older version that differs in nothing the tasks see
	destroy []*alloc // to be replaced, as many as may be at once
	canary  []*alloc // beside which a canary is placed, before any is replaced
	ignore  int
}

// changes tells whether a deployment would have something to watch.
func (n need) changes() bool { return len(n.place)+len(n.inPlace)+len(n.destroy)+len(n.canary) > 0 }

// need compares a group's allocations with a job, which may be one that is only
// planned. At most room of them are destroyed; below 0 is no limit.
func (rec *record) need(j *api.Job, g *api.TaskGroup, room int) need {
	var n need
	count := countOf(j, g)
	held := rec.held(j, g, count, &n)
	for slot := range count {
		a := held[slot]
		switch {
		case a == nil:
			n.place = append(n.place, slot)
		case *a.Job.Version == *j.Version:
			n.ignore++
		case destructive(a.Job, j, *g.Name) && len(n.destroy) == room:
			n.ignore++ // later, when the deployment has gone on
		case destructive(a.Job, j, *g.Name):
			n.destroy = append(n.destroy, a)
		case a.ClientTerminalStatus():
			n.ignore++
		default:
			n.inPlace = append(n.inPlace, a)
		}
	}
	rec.canaries(j, g, &n)
	return n
}

// canaries come first where the group wants them and something is to be replaced.
func (rec *record) canaries(j *api.Job, g *api.TaskGroup, n *need) {
	if !rec.watched(j, g) || value(g.Update.Canary) == 0 || len(n.destroy) == 0 {
		return
	}
	if d := rec.deploymentOf(j); d == nil || !d.TaskGroups[*g.Name].Promoted {
		n.ignore += len(n.destroy)
		if d == nil {
			n.canary = n.destroy[:min(len(n.destroy), *g.Update.Canary)]
		}
		n.destroy = nil
	}
}

// held is which allocation has which index; those that have none go into n.
func (rec *record) held(j *api.Job, g *api.TaskGroup, count int, n *need) map[int]*alloc {
	held := map[int]*alloc{}
	for _, a := range rec.allocs {
		switch {
		case a.TaskGroup != *g.Name:
		case a.slot >= count && a.live():
			n.stop = append(n.stop, a)
		case a.canary && rec.overdue(a, j):
			n.stop = append(n.stop, a)
		case a.canary:
		case a.holdsSlot(j):
			if old := held[a.slot]; old != nil && old.live() { // its canary was promoted
				n.stop = append(n.stop, old)
			}
			held[a.slot] = a
		case isBatch(j) && a.DesiredStatus == api.AllocDesiredStatusRun:
			n.ignore++ // ended in an older version, which counts here
		}
	}
	return held
}

// overdue is a canary whose deployment is over.
func (rec *record) overdue(a *alloc, j *api.Job) bool {
	d := rec.deploymentOf(j)
	return a.live() && (*a.Job.Version != *j.Version || d == nil || d.Status != api.DeploymentStatusRunning)
}

// countOf is how many allocations a job wants of a group, on the one node there is.
func countOf(j *api.Job, g *api.TaskGroup) int {
	switch {
	case *j.Stop:
		return 0
	case isSystem(j):
		return min(*g.Count, 1)
	}
	return *g.Count
}

func isSystem(j *api.Job) bool { return *j.Type == api.JobTypeSystem || *j.Type == api.JobTypeSysbatch }

func isBatch(j *api.Job) bool { return *j.Type == api.JobTypeBatch || *j.Type == api.JobTypeSysbatch }

// holdsSlot tells whether an allocation, running or ended, keeps another from being
// placed. What a batch job's older version left does not.
func (a *alloc) holdsSlot(j *api.Job) bool {
	switch {
	case a.DesiredStatus != api.AllocDesiredStatusRun:
		return false
	case isBatch(j):
		return !a.ClientTerminalStatus() || *a.Job.Version == *j.Version
	}
	return a.ClientStatus != api.AllocClientStatusComplete
}

func (a *alloc) live() bool {
	return a.DesiredStatus == api.AllocDesiredStatusRun && !a.ClientTerminalStatus()
}

// destructive tells whether a group's tasks must be replaced for the new job.
func destructive(from, to *api.Job, group string) bool {
	g, h := groupOf(from, group), groupOf(to, group)
	if len(g.Tasks) != len(h.Tasks) || !same(pick(g, "Networks", "EphemeralDisk", "Volumes"), pick(h, "Networks", "EphemeralDisk", "Volumes")) {
		return true
	}
	for _, t := range g.Tasks {
		u := taskOf(h, t.Name)
		if u == nil || !same(seen(from, g, t), seen(to, h, u)) {
			return true
		}
	}
	return false
}

// seen is what a task sees of its job.
func seen(j *api.Job, g *api.TaskGroup, t *api.Task) map[string]any {
	out := pick(t, "Driver", "User", "Config", "Env", "Artifacts", "Vault", "Consul", "Secrets", "Templates",
		"CSIPluginConfig", "VolumeMounts", "Resources", "Identity", "Identities", "Schedule")
	meta := map[string]any{}
	for _, level := range []map[string]string{j.Meta, g.Meta, t.Meta} {
		for k, v := range level {
			meta[k] = v
		}
	}
	out["Meta"] = meta
	return out
}

func pick(v any, keys ...string) map[string]any {
	all, out := tree(v), map[string]any{}
	for _, k := range keys {
		out[k] = all[k]
	}
	return out
}

// reconcile stops, updates and places what the live job needs.
func (s *Server) reconcile(rec *record, e *api.Evaluation) {
	j := rec.versions[0]
	s.retire(rec)
	for _, a := range rec.allocs {
		if a.live() && groupOf(j, a.TaskGroup) == nil {
			s.stop(a, "alloc not needed due to job update")
		}
	}
	if j.IsPeriodic() || j.IsParameterized() {
		return
	}
	needs := map[string]need{}
	d := rec.deploymentOf(j)
	for _, g := range j.TaskGroups {
		n := rec.need(j, g, rec.room(j, g))
		if d != nil && d.Status == api.DeploymentStatusFailed {
			n.place, n.canary = nil, nil
		}
		needs[*g.Name] = n
	}
	if d == nil {
		d = s.deploy(rec, needs)
	}
	for _, g := range j.TaskGroups {
		s.fulfil(rec, g, needs[*g.Name], d, e)
	}
}

func (s *Server) fulfil(rec *record, g *api.TaskGroup, n need, d *deployment, e *api.Evaluation) {
	for _, a := range n.stop {
		s.stop(a, "alloc not needed due to job update")
	}
	for _, a := range n.inPlace {
		a.Job = rec.versions[0]
		a.EvalID = e.ID
		a.ModifyIndex = s.next()
		s.tellAlloc(a, planResult)
		s.track(a, d)
	}
	if asked := memoryOf(g); asked > nodeMemory && len(n.place)+len(n.destroy)+len(n.canary) > 0 {
		s.block(rec, g, n, e)
		return
	}
	for _, slot := range n.place {
		s.place(rec, g, slot, nil, d, e)
	}
	for _, a := range n.canary {
		s.placeCanary(rec, g, a.slot, d, e)
	}
	for _, a := range n.destroy {
		s.stop(a, "alloc is being updated due to job update")
		next := s.place(rec, g, a.slot, a, d, e)
		a.NextAllocation = next.ID
	}
}

// nodeMemory, in MB, is more than tests ask for, but for those that mean to ask for
// too much.
const nodeMemory = 1_000_000

func memoryOf(g *api.TaskGroup) int {
	sum := 0
	for _, t := range g.Tasks {
		sum += value(t.Resources.MemoryMB)
	}
	return sum
}

// block says that a group has no place. What is to be replaced runs on, but for
// system jobs, whose allocations are stopped first.
func (s *Server) block(rec *record, g *api.TaskGroup, n need, e *api.Evaluation) {
	wanted := len(n.place) + len(n.destroy) + len(n.canary)
	if e.FailedTGAllocs == nil {
		e.FailedTGAllocs = map[string]*api.AllocationMetric{}
	}
	e.FailedTGAllocs[*g.Name] = &api.AllocationMetric{
		NodesEvaluated: 1, NodesExhausted: 1, NodesAvailable: map[string]int{"dc1": 1},
		DimensionExhausted: map[string]int{"memory": 1}, CoalescedFailures: max(wanted-1, 0),
	}
	e.QueuedAllocations[*g.Name] = wanted
	if isSystem(rec.versions[0]) {
		for _, a := range n.destroy {
			s.stop(a, "alloc is being updated due to job update")
		}
	}
	if e.BlockedEval == "" {
		b := *e
		b.ID, b.Status, b.PreviousEval, b.TriggeredBy = uuid.NewString(), "blocked", e.ID, "queued-allocs"
		b.CreateIndex = s.next()
		b.ModifyIndex = b.CreateIndex
		e.BlockedEval, s.evaluations[b.ID] = b.ID, &b
		rec.evaluations = append(rec.evaluations, &b)
		s.tellEvaluation(&b, evaluationUpdated)
	}
}

// stop asks an allocation to end; ended ones are only marked.
func (s *Server) stop(a *alloc, why string) {
	a.DesiredStatus, a.DesiredDescription = api.AllocDesiredStatusStop, why
	a.ModifyIndex, a.ModifyTime = s.next(), time.Now().UnixNano()
	s.tellAlloc(a, planResult)
	stopTimers(a)
	a.cancel()
}

// placeCanary places one beside the allocation that it may replace.
func (s *Server) placeCanary(rec *record, g *api.TaskGroup, slot int, d *deployment, e *api.Evaluation) {
	a := s.place(rec, g, slot, nil, d, e)
	a.canary, a.DeploymentStatus = true, &api.AllocDeploymentStatus{Canary: true}
	st := d.TaskGroups[*g.Name]
	st.PlacedCanaries = append(st.PlacedCanaries, a.ID)
}

// place makes an allocation and starts it once the one before it has ended.
func (s *Server) place(rec *record, g *api.TaskGroup, slot int, before *alloc, d *deployment, e *api.Evaluation) *alloc {
	j, now := rec.versions[0], time.Now().UnixNano()
	index := s.next()
	a := &alloc{
		Allocation: &api.Allocation{
			ID: uuid.NewString(), Namespace: *j.Namespace, EvalID: e.ID,
			Name:   fmt.Sprintf("%s.%s[%d]", *j.ID, *g.Name, slot),
			NodeID: nodeID, NodeName: nodeName, JobID: *j.ID, Job: j, TaskGroup: *g.Name,
			DesiredStatus: api.AllocDesiredStatusRun, ClientStatus: api.AllocClientStatusPending,
			TaskStates: map[string]*api.TaskState{}, AllocatedResources: allocate(g),
			CreateIndex: index, ModifyIndex: index, CreateTime: now, ModifyTime: now,
		},
		record: rec, slot: slot, before: before,
		done: make(chan struct{}), logs: map[string]*log{},
	}
	if before != nil {
		a.PreviousAllocation = before.ID
	}
	rec.allocs = append(rec.allocs, a)
	s.allocs[a.ID] = a
	s.track(a, d)
	s.tellAlloc(a, planResult)
	s.start(a, j, g)
	return a
}

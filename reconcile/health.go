package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/reconcile/gates"
)

func stateOf(j *api.Job, allocs []*api.AllocationListStub) LiveState {
	s := LiveState{Version: value(j.Version), Status: value(j.Status), Stopped: value(j.Stop)}
	s.Allocations = map[string]int{}
	for _, a := range current(allocs) {
		s.Allocations[a.ClientStatus]++
	}
	s.Why = illness(j, allocs)
	s.Healthy = !s.Stopped && (value(j.Stable) || s.Why == "" && !anyRestarts(current(allocs)))
	return s
}

// wellByList is the state of a job of which a list has just said that all is well:
// nobody needs to ask for its allocations. Where there is any doubt, they are asked for.
func wellByList(j *api.Job, listed *api.JobListStub) (LiveState, bool) {
	s := LiveState{Version: value(j.Version), Status: value(j.Status), Stopped: value(j.Stop), Allocations: map[string]int{}}
	switch {
	case listed == nil, listed.JobModifyIndex != value(j.JobModifyIndex):
		return s, false
	case s.Stopped, j.IsPeriodic(), j.IsParameterized():
		s.Healthy = !s.Stopped
		return s, true
	case listed.JobSummary == nil, s.Status == "pending", !value(j.Stable) && slices.ContainsFunc(j.TaskGroups, hasCanaries):
		return s, false
	}
	for _, g := range j.TaskGroups {
		now := listed.JobSummary.Summary[value(g.Name)]
		if !wellGroup(value(j.Type), value(g.Count), now) {
			return s, false
		}
		s.Allocations[api.AllocClientStatusRunning] += now.Running
	}
	s.Healthy = true
	return s, true
}

// provenState is the state of a job whose version has proved itself, as far as the job
// alone says.
func provenState(j *api.Job) LiveState {
	return LiveState{Version: value(j.Version), Status: value(j.Status), Healthy: true, Allocations: map[string]int{}}
}

func wellGroup(kind string, count int, now api.TaskGroupSummary) bool {
	switch {
	case now.Queued+now.Starting+now.Lost+now.Unknown > 0:
		return false
	case kind == api.JobTypeService:
		return now.Running == count // those that failed before have been replaced
	case kind == api.JobTypeSystem:
		return now.Running > 0 && now.Failed == 0
	}
	return now.Failed == 0
}

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

// current are the allocations that Nomad wants to run and has not replaced.
func current(allocs []*api.AllocationListStub) []*api.AllocationListStub {
	return slices.DeleteFunc(slices.Clone(allocs), func(a *api.AllocationListStub) bool {
		return a.DesiredStatus != api.AllocDesiredStatusRun || a.NextAllocation != ""
	})
}

// illness says why a job is not healthy now; empty if it is.
func illness(j *api.Job, allocs []*api.AllocationListStub) string {
	if value(j.Stop) || j.Periodic != nil || j.ParameterizedJob != nil {
		return ""
	}
	now := current(allocs)
	slices.SortFunc(now, func(a, b *api.AllocationListStub) int { return cmp.Compare(a.Name, b.Name) })
	for _, a := range now {
		if why := allocIllness(a); why != "" {
			return why
		}
	}
	if neverNone(j) && !slices.ContainsFunc(now, func(a *api.AllocationListStub) bool { return counts(a, j) }) {
		return "no allocation is placed"
	}
	if want := wanted(j); len(now) < want {
		return fmt.Sprintf("%d of %d allocations are placed", len(now), want)
	}
	return ""
}

// counts: what an older version of a batch job has done is not this one's.
func counts(a *api.AllocationListStub, j *api.Job) bool {
	return !runsOnce(j) || a.JobVersion == value(j.Version)
}

// neverNone: jobs that say by no count how many allocations there should be, and yet
// have at least one while all is well.
func neverNone(j *api.Job) bool {
	switch value(j.Type) {
	case api.JobTypeSystem:
		return gates.Count(j) > 0
	case api.JobTypeBatch, api.JobTypeSysbatch:
		return value(j.Status) == "pending"
	}
	return false
}

func allocIllness(a *api.AllocationListStub) string {
	switch a.ClientStatus {
	case api.AllocClientStatusFailed, api.AllocClientStatusLost, api.AllocClientStatusUnknown:
		return fmt.Sprintf("allocation %s is %s", short(a.ID), a.ClientStatus)
	}
	for _, name := range slices.Sorted(maps.Keys(a.TaskStates)) {
		t := a.TaskStates[name]
		if t != nil && t.State == "pending" && t.Restarts > 0 {
			return fmt.Sprintf("task %s of allocation %s keeps restarting (restarts: %d)", name, short(a.ID), t.Restarts)
		}
	}
	if a.ClientStatus == api.AllocClientStatusPending {
		return fmt.Sprintf("allocation %s is pending", short(a.ID))
	}
	return ""
}

// steady is how long a task has to run after a restart to be taken for healthy: in a
// loop of crashes it runs for a moment each time.
const steady = 30 * time.Second

// settle adds what the time says: a task that was restarted a moment ago.
func (s *LiveState) settle(allocs []*api.AllocationListStub, now time.Time) {
	if now.IsZero() || s.Why != "" || s.Stopped {
		return
	}
	for _, a := range current(allocs) {
		for _, name := range slices.Sorted(maps.Keys(a.TaskStates)) {
			t := a.TaskStates[name]
			if t == nil || t.State != "running" || t.Restarts == 0 || !now.Before(t.LastRestart.Add(steady)) {
				continue
			}
			s.Why = fmt.Sprintf("task %s of allocation %s keeps restarting (restarts: %d)", name, short(a.ID), t.Restarts)
			s.Until, s.Healthy = t.LastRestart.Add(steady), false
			return
		}
	}
}

func anyRestarts(allocs []*api.AllocationListStub) bool {
	for _, a := range allocs {
		for _, t := range a.TaskStates {
			if t != nil && t.Restarts > 0 {
				return true
			}
		}
	}
	return false
}

// wanted is the number of allocations that a service or batch job asks for; a
// system job asks for what its nodes give.
func wanted(j *api.Job) int {
	if t := value(j.Type); t == api.JobTypeSystem || t == api.JobTypeSysbatch || t == api.JobTypeBatch {
		return 0
	}
	return gates.Count(j)
}

func short(id string) string { return id[:min(8, len(id))] }

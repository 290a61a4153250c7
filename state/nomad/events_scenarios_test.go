package nomad_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// rawEvents reads the stream as Nomad sends it, until end is registered. It gives the
// kinds of events about jobs whose ID begins so, sorted, each once.
func (s *script) rawEvents(ns, begins string) (end func() []string) {
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Address()+"/v1/event/stream?topic=Job&topic=Evaluation&topic=Allocation&topic=Deployment&namespace="+url.QueryEscape(ns), nil)
	must[any](s)(nil, err)
	resp := must[*http.Response](s)(http.DefaultClient.Do(req))
	lines := bufio.NewReader(resp.Body)
	s.say("%d %s, at once: %q", resp.StatusCode, resp.Header.Get("Content-Type"), must[string](s)(lines.ReadString('\n')))
	found := make(chan []string, 1)
	last := s.name + "-end"
	go func() {
		kinds, err := readEvents(lines, begins, last)
		if err != nil {
			kinds = []string{err.Error()}
		}
		found <- kinds
	}()
	return func() []string {
		defer cancel()
		defer resp.Body.Close()
		s.register(s.empty(ns, last), nil, 0)
		return <-found
	}
}

// empty is a job that runs nothing.
func (s *script) empty(ns, name string) *api.Job {
	j := s.job(idle)
	j.ID, j.Namespace, j.TaskGroups[0].Count = &name, &ns, new(0)
	return j
}

func readEvents(lines *bufio.Reader, begins, last string) ([]string, error) {
	kinds := map[string]bool{}
	for {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		var line struct {
			Index  uint64
			Events []struct {
				Topic, Type, Key, Namespace string
				FilterKeys                  []string
				Index                       uint64
				Payload                     map[string]json.RawMessage
			}
		}
		if err := json.Unmarshal(text, &line); err != nil {
			return nil, err
		}
		for _, e := range line.Events {
			if e.Key == last {
				return slices.Sorted(maps.Keys(kinds)), nil
			}
			name := e.Key
			if e.Topic != "Job" && len(e.FilterKeys) > 0 {
				name = e.FilterKeys[0]
			}
			if name == begins || strings.HasPrefix(name, begins+"/") {
				if e.Type != "JobRegistered" && e.Type != "JobDeregistered" || e.Topic != "Job" {
					e.Type = "changed" // the others' types tell how Nomad works inside
				}
				kinds[plain(fmt.Sprintf("%s %s: key %s, others %q, in %s, same index %t, carries %v", e.Topic, e.Type, e.Key, e.FilterKeys, e.Namespace, e.Index == line.Index, slices.Sorted(maps.Keys(e.Payload))))] = true
			}
		}
	}
}

func (s *script) events() {
	end := s.rawEvents("default", s.name)
	r := s.register(s.job(idle), nil, 0)
	s.deployed(s.id(), r.JobModifyIndex)
	live := s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	s.await(s.id(), func(allocs []*api.AllocationListStub) bool { return allocs[0].ClientStatus == "complete" })
	s.dead(s.id())
	for _, kind := range end() {
		s.say("%s", kind)
	}
}

// eventsOfLaunches: in another namespace, and what is deregistered as people do.
func (s *script) eventsOfLaunches() {
	end := s.rawEvents("apps", "launches")
	j := s.parameterized("exit 0")
	j.ID, j.Namespace = new("launches"), new("apps")
	s.register(j, nil, 0)
	s.register(s.empty("default", "launches"), nil, 0)
	id := job.ID{Namespace: "apps", Name: "launches"}
	child := must[string](s)(s.Dispatch(s.ctx, id, map[string]string{"who": "me"}, nil))
	s.dead(job.ID{Namespace: "apps", Name: child})
	s.deregister(id)
	for _, kind := range end() {
		s.say("%s", kind)
	}
}

// deregister is `nomad job stop -purge`.
func (s *script) deregister(id job.ID) {
	s.t.Helper()
	req := must[*http.Request](s)(http.NewRequestWithContext(s.ctx, http.MethodDelete, s.Address()+"/v1/job/"+url.PathEscape(id.Name)+"?purge=true&namespace="+id.Namespace, nil))
	resp := must[*http.Response](s)(http.DefaultClient.Do(req))
	resp.Body.Close()
	_, err := s.Job(s.ctx, id)
	s.say("purged: %d, then %s", resp.StatusCode, errorKind(err))
}

// follow collects batches in the background until wanted says so.
func (s *script) follow(namespaces []string, index uint64, opened func(), wanted func(nomad.Batch) bool) (last uint64) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	enough, first := false, true
	var deeds sync.WaitGroup
	defer deeds.Wait()
	err := s.Follow(ctx, namespaces, index, func(b nomad.Batch) {
		if first != b.Opened || b.Opened && len(b.Jobs) > 0 {
			s.t.Errorf("%+v is opened, but not first, or has jobs", b)
		}
		if first = false; b.Opened {
			deeds.Go(opened)
		}
		last = b.Index
		if !enough && wanted(b) {
			enough = true
			cancel()
		}
	})
	if !enough || !errors.Is(err, context.Canceled) {
		s.t.Fatalf("following ended with %v before what was to come", err)
	}
	return last
}

func (s *script) following() {
	_, index, err := s.List(s.ctx, []string{"apps", "default"})
	must[any](s)(nil, err)
	jobs := []job.ID{{Namespace: "apps", Name: "follow/a.b@c"}, {Namespace: "default", Name: "follow+ü%2F"}, s.id()}
	for i, tc := range []struct {
		namespaces []string
		told       int
	}{{[]string{"apps"}, 1}, {[]string{"*"}, 3}, {[]string{"apps", "default", "apps"}, 3}} {
		seen := map[job.ID]bool{}
		index = s.follow(tc.namespaces, index, func() { s.touch(jobs, 60+i) }, func(b nomad.Batch) bool {
			for _, id := range b.Jobs {
				if slices.Contains(jobs, id) {
					seen[id] = true
				}
			}
			return len(seen) == tc.told
		})
		for _, id := range slices.SortedFunc(maps.Keys(seen), func(a, b job.ID) int { return strings.Compare(a.Name, b.Name) }) {
			s.say("%v told of %s in %s", tc.namespaces, id.Name, id.Namespace)
		}
	}
	s.touch(jobs[2:], 70)
	s.follow([]string{"default"}, index, func() {}, func(b nomad.Batch) bool { return slices.Contains(b.Jobs, s.id()) })
	s.say("what happened meanwhile is told from the index on")
}

// touch registers jobs that run nothing with another priority, in their order.
func (s *script) touch(jobs []job.ID, priority int) {
	for _, id := range jobs {
		j := s.empty(id.Namespace, id.Name)
		j.Priority = &priority
		if _, err := s.Register(s.ctx, j, nil, s.indexOf(id)); err != nil {
			s.t.Errorf("registering %s: %v", id, err)
		}
	}
}

// indexOf is for check-and-set; 0 where there is no such job.
func (s *script) indexOf(id job.ID) uint64 {
	j, err := s.Job(s.ctx, id)
	if err != nil {
		return 0
	}
	return *j.JobModifyIndex
}

// sayListed tells a job as the list shows it.
func (s *script) sayListed(name, what string) {
	s.t.Helper()
	stubs, index, err := s.List(s.ctx, []string{"default"})
	must[any](s)(nil, err)
	live := s.live(job.ID{Namespace: "default", Name: name})
	for _, stub := range stubs {
		if stub.ID != name {
			continue
		}
		s.say("%s: %s %s, stop %t, %q, of %q, in %s, datacenters %v, priority %d", what, stub.Type, stub.Status, stub.Stop, stub.Name, stub.ParentID, stub.Namespace, stub.Datacenters, stub.Priority)
		s.say("  periodic %t, parameterized %t, job modify index as the job's %t, not newer than the list %t, described as %q", stub.Periodic, stub.ParameterizedJob,
			stub.JobModifyIndex == *live.JobModifyIndex, stub.ModifyIndex <= index && stub.JobModifyIndex <= index, stub.StatusDescription)
		for _, g := range slices.Sorted(maps.Keys(stub.JobSummary.Summary)) {
			s.say("  group %s: %+v", g, stub.JobSummary.Summary[g])
		}
		s.say("  children: %+v", *stub.JobSummary.Children)
	}
}

func (s *script) listed() {
	j := s.job(idle)
	j.TaskGroups[0].Count = new(2)
	other := s.job(idle).TaskGroups[0]
	other.Name = new("h")
	j.TaskGroups = append(j.TaskGroups, other)
	r := s.register(j, nil, 0)
	s.deployed(s.id(), r.JobModifyIndex)
	s.sayListed(s.name, "running")
	live := s.live(s.id())
	live.TaskGroups = live.TaskGroups[:1]
	r = s.register(live, nil, *live.JobModifyIndex)
	s.await(s.id(), countClient("complete", 1))
	s.deployed(s.id(), r.JobModifyIndex)
	s.sayListed(s.name, "without a group")
	live = s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	s.await(s.id(), countClient("complete", 3))
	s.dead(s.id())
	s.sayListed(s.name, "stopped")
}

func countClient(status string, want int) func([]*api.AllocationListStub) bool {
	return func(allocs []*api.AllocationListStub) bool {
		n := 0
		for _, a := range allocs {
			if a.ClientStatus == status {
				n++
			}
		}
		return n == want
	}
}

// listedFailing: one that fails, is started again, given up and placed anew.
func (s *script) listedFailing() {
	j := s.job("exit 1")
	j.Update = nil
	g := j.TaskGroups[0]
	g.Update = &api.UpdateStrategy{MaxParallel: new(0)}
	g.RestartPolicy.Attempts = new(1)
	g.ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(1), Interval: new(time.Hour), Delay: new(5 * time.Second), DelayFunction: new("constant"), Unlimited: new(false)}
	s.register(j, nil, 0)
	s.await(s.id(), func(allocs []*api.AllocationListStub) bool {
		return len(allocs) == 1 && allocs[0].ClientStatus == "failed"
	})
	s.sayListed(s.name, "failed, to be placed again")
	allocs := s.await(s.id(), func(allocs []*api.AllocationListStub) bool {
		return len(allocs) == 2 && allocs[0].ClientStatus == "failed" && allocs[1].ClientStatus == "failed"
	})
	s.say("restarts: %d and %d", allocs[0].TaskStates["t"].Restarts, allocs[1].TaskStates["t"].Restarts)
	s.dead(s.id())
	s.sayListed(s.name, "failed for good")
	live := s.live(s.id())
	task(live).Config["args"] = []any{"-c", idle}
	s.register(live, nil, *live.JobModifyIndex)
	s.await(s.id(), countClient("running", 1))
	s.sayListed(s.name, "mended")
}

// listedWaiting: without a place, and one that launches others.
func (s *script) listedWaiting() {
	j := s.job(idle)
	j.TaskGroups[0].Count = new(2)
	task(j).Resources.MemoryMB = new(9_999_999)
	r := s.register(j, nil, 0)
	s.evaluated(r.EvalID)
	s.sayListed(s.name, "without a place")
	live := s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	s.dead(s.id())
	s.sayListed(s.name, "stopped")

	parent := job.ID{Namespace: "default", Name: s.name + "-parent"}
	j = s.parameterized("exit 0")
	j.ID = &parent.Name
	s.register(j, nil, 0)
	child := must[string](s)(s.Dispatch(s.ctx, parent, map[string]string{"who": "me"}, nil))
	s.dead(job.ID{Namespace: "default", Name: child})
	s.sayListed(parent.Name, "one that launches others")
}

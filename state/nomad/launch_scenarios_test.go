package nomad_test

import (
	"cmp"
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// listener is what the tasks of a scenario would serve: a static port that the test
// itself answers at.
func (s *script) listener(h http.Handler) (port int) {
	front := httptest.NewServer(h)
	s.t.Cleanup(front.Close)
	return front.Listener.Addr().(*net.TCPAddr).Port
}

// served is a job with a service of Nomad's own discovery and its checks.
func (s *script) served(port int) *api.Job {
	j := s.job(idle)
	g := j.TaskGroups[0]
	g.Networks = []*api.NetworkResource{{ReservedPorts: []api.Port{{Label: "web", Value: port}}}}
	check := func(name, kind, path string) api.ServiceCheck {
		return api.ServiceCheck{Name: name, Type: kind, Path: path, Interval: time.Second, Timeout: time.Second}
	}
	g.Services = []*api.Service{{
		Name: s.name, Provider: "nomad", PortLabel: "web", Tags: []string{"a", "b"},
		Checks: []api.ServiceCheck{check("open", "tcp", ""), check("fine", "http", "/health")},
	}}
	task(j).Services = []*api.Service{{Name: s.name + "-of-task", Provider: "nomad", PortLabel: "web"}}
	return j
}

// services waits until a service has so many instances.
func (s *script) services(ns, name string, want int) []*api.ServiceRegistration {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; s.pause() {
		found := must[[]*api.ServiceRegistration](s)(s.Services(s.ctx, ns, name))
		if len(found) == want {
			return found
		}
		if time.Now().After(end) {
			s.t.Fatalf("service %s has %d instances, not %d", name, len(found), want)
		}
	}
}

// checks waits until every check of an allocation has that result.
func (s *script) checks(alloc string, want map[string]string) []api.AllocCheckStatus {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; s.pause() {
		list := slices.SortedFunc(maps.Values(must[api.AllocCheckStatuses](s)(s.Checks(s.ctx, alloc))), func(a, b api.AllocCheckStatus) int { return cmp.Compare(a.Check, b.Check) })
		got := map[string]string{}
		for _, c := range list {
			got[c.Check] = c.Status
		}
		if maps.Equal(got, want) {
			return list
		}
		if time.Now().After(end) {
			s.t.Fatalf("checks are %v, not %v", got, want)
		}
	}
}

// pause is between questions that Nomad does not hold.
func (s *script) pause() {
	brief, cancel := context.WithTimeout(s.ctx, 50*time.Millisecond)
	<-brief.Done()
	cancel()
}

func (s *script) sayChecks(list []api.AllocCheckStatus, ports ...int) {
	for _, c := range list {
		output := c.Output
		for _, p := range ports {
			output = strings.ReplaceAll(output, strconv.Itoa(p), "PORT")
		}
		s.say("check %s of %s (group %s, task %q, %s): %s %d, %q, dated %t", c.Check, c.Service, c.Group, c.Task, c.Mode, c.Status, c.StatusCode, output, c.Timestamp > 0)
	}
}

func (s *script) serving() {
	var ill atomic.Bool
	port := s.listener(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ill.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		w.Write([]byte("I am " + r.URL.Path))
	}))
	r := s.register(s.served(port), nil, 0)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	alloc := s.status(s.id(), "running")[0]
	for _, name := range []string{s.name, s.name + "-of-task"} {
		one := s.services("default", name, 1)[0]
		s.say("%s in %s: tags %q, at %s, its port %t, job %s, its allocation %t, its node %t, datacenter %s", one.ServiceName, one.Namespace, one.Tags,
			one.Address, one.Port == port, one.JobID, one.AllocID == alloc.ID, one.NodeID == alloc.NodeID, one.Datacenter)
	}
	s.say("in another namespace: %d", len(must[[]*api.ServiceRegistration](s)(s.Services(s.ctx, "apps", s.name))))
	s.say("no such service: %d", len(must[[]*api.ServiceRegistration](s)(s.Services(s.ctx, "default", "nope"))))

	s.sayChecks(s.checks(alloc.ID, map[string]string{"open": "success", "fine": "success"}), port)
	ill.Store(true)
	s.sayChecks(s.checks(alloc.ID, map[string]string{"open": "success", "fine": "failure"}), port)
	s.say("still running: %s", s.status(s.id(), "running")[0].ClientStatus)

	live := s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	s.say("stopped: %d", len(s.services("default", s.name, 0)))
	_, err := s.Checks(s.ctx, "27948b02-3e99-7089-ade2-b05b13eb0fac")
	s.sayError("checks of no such allocation", err)
}

// servingBadly: a deployment asks the checks too.
func (s *script) servingBadly() {
	port := s.listener(http.NotFoundHandler())
	j := s.served(port)
	j.Update.HealthyDeadline, j.Update.ProgressDeadline = new(3*time.Second), new(4*time.Second)
	r := s.register(j, nil, 0)
	alloc := s.status(s.id(), "running")[0]
	s.sayChecks(s.checks(alloc.ID, map[string]string{"open": "success", "fine": "failure"}), port)
	s.sayDeployment(s.deployed(s.id(), r.JobModifyIndex))
	s.sayAllocs(s.status(s.id(), "running"))
	s.say("registered: %d", len(s.services("default", s.name, 1)))
}

func (s *script) node() {
	s.register(s.job(idle), nil, 0)
	alloc := s.status(s.id(), "running")[0]
	n := must[*api.Node](s)(s.Node(s.ctx, alloc.NodeID))
	host, err := os.Hostname()
	must[any](s)(nil, err)
	s.say("its ID %t, its name %t, hostname %t", n.ID == alloc.NodeID, n.Name == alloc.NodeName, n.Attributes["unique.hostname"] == host)
	s.say("%s, %s, drain %t, datacenter %s, pool %s", n.Status, n.SchedulingEligibility, n.Drain, n.Datacenter, n.NodePool)
	_, err = s.Node(s.ctx, "27948b02-3e99-7089-ade2-b05b13eb0fac")
	s.sayError("no such node", err)
}

func (s *script) parameterized(shell string) *api.Job {
	j := s.job(shell)
	j.Type, j.Update = new("batch"), nil
	j.Meta = map[string]string{"own": "job"}
	j.ParameterizedJob = &api.ParameterizedJobConfig{Payload: "optional", MetaRequired: []string{"who"}, MetaOptional: []string{"own"}}
	return j
}

func (s *script) dispatching() {
	j := s.parameterized(`echo "$NOMAD_META_who $NOMAD_META_own $NOMAD_JOB_PARENT_ID"; cat "$NOMAD_TASK_DIR/in.txt"`)
	task(j).DispatchPayload = &api.DispatchPayloadConfig{File: "in.txt"}
	r := s.register(j, source("its source"), 0)
	s.say("evaluation %t", r.EvalID != "")
	s.sayJob(s.live(s.id()))

	id := s.launched(must[string](s)(s.Dispatch(s.ctx, s.id(), map[string]string{"who": "me", "own": "child"}, []byte("payload\n"))), "dispatch")
	s.sayAllocs(s.status(id, "complete"))
	for _, line := range must[[]string](s)(s.Tail(s.ctx, s.status(id, "complete")[0].ID, "t", "stdout", 10)) {
		s.say("%s", line)
	}
	s.sayChild(id)
	s.sayLaunchErrors()
	live := s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	_, err := s.Dispatch(s.ctx, s.id(), map[string]string{"who": "me"}, nil)
	s.sayError("dispatching a stopped one", err)
}

// launched is the job that a launch has made, told without its time.
func (s *script) launched(name, how string) job.ID {
	s.say("launched as %s's own %t", how, strings.HasPrefix(name, s.name+"/"+how+"-"))
	return job.ID{Namespace: "default", Name: name}
}

func (s *script) sayChild(id job.ID) {
	live := s.dead(id)
	s.sayJob(live)
	s.say("named as its ID %t, child of %s, dispatched %t, payload %q, meta %v, parameterized %t, periodic %t", *live.Name == *live.ID, *live.ParentID,
		live.Dispatched, live.Payload, live.Meta, live.IsParameterized(), live.IsPeriodic())
	s.saySubmission(id, 0)
	s.sayJob(s.live(s.id()))
	allocs, _, err := s.Allocations(s.ctx, s.id(), 0)
	must[any](s)(nil, err)
	s.say("allocations of its parent: %d", len(allocs))
	for _, stub := range must[[]*api.JobListStub](s)(s.Jobs(s.ctx, []string{"default"})) {
		if stub.ParentID == s.name || stub.ID == s.name {
			s.say("listed: child of %q, periodic %t, parameterized %t, %s, %s", stub.ParentID, stub.Periodic, stub.ParameterizedJob, stub.Type, stub.Status)
		}
	}
}

// dead waits until a job has ended.
func (s *script) dead(id job.ID) *api.Job {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	var index uint64
	for {
		j, next, err := s.WatchJob(ctx, id, index)
		if err != nil {
			s.t.Fatalf("waiting for a job's end: %v", err)
		}
		if *j.Status == "dead" {
			return j
		}
		index = next
	}
}

func (s *script) sayLaunchErrors() {
	_, err := s.Dispatch(s.ctx, s.id(), nil, nil)
	s.sayError("without its meta", err)
	_, err = s.Dispatch(s.ctx, s.id(), map[string]string{"who": "me", "else": "x"}, nil)
	s.sayError("with other meta", err)
	_, err = s.Dispatch(s.ctx, s.id(), map[string]string{"who": "me"}, make([]byte, 20000))
	s.sayError("with too much payload", err)
	_, err = s.Force(s.ctx, s.id())
	s.sayError("forcing it", err)
	_, err = s.Dispatch(s.ctx, job.ID{Namespace: "default", Name: "nope"}, nil, nil)
	s.sayError("dispatching none", err)
	_, err = s.Force(s.ctx, job.ID{Namespace: "default", Name: "nope"})
	s.sayError("forcing none", err)
}

// dispatchFails: what is launched fails, and a payload is one that must or must not be.
func (s *script) dispatchFails() {
	j := s.parameterized("exit 3")
	j.ParameterizedJob.Payload = "required"
	r := s.register(j, nil, 0)
	meta := map[string]string{"who": "me"}
	_, err := s.Dispatch(s.ctx, s.id(), meta, nil)
	s.sayError("without its payload", err)
	id := s.launched(must[string](s)(s.Dispatch(s.ctx, s.id(), meta, []byte("x"))), "dispatch")
	s.sayAllocs(s.status(id, "failed"))
	s.sayJob(s.dead(id))
	j.ParameterizedJob.Payload = "forbidden"
	s.register(j, nil, r.JobModifyIndex)
	_, err = s.Dispatch(s.ctx, s.id(), meta, []byte("x"))
	s.sayError("with a payload", err)
}

func (s *script) forcing() {
	j := s.job("echo $NOMAD_JOB_PARENT_ID")
	j.Type, j.Update = new("batch"), nil
	j.Periodic = &api.PeriodicConfig{Enabled: new(true), Specs: []string{"0 0 1 1 *"}, ProhibitOverlap: new(true)}
	s.register(j, source("its source"), 0)
	id := s.launched(must[string](s)(s.Force(s.ctx, s.id())), "periodic")
	s.sayAllocs(s.status(id, "complete"))
	for _, line := range must[[]string](s)(s.Tail(s.ctx, s.status(id, "complete")[0].ID, "t", "stdout", 10)) {
		s.say("%s", line)
	}
	s.sayChild(id)
	_, err := s.Dispatch(s.ctx, s.id(), nil, nil)
	s.sayError("dispatching it", err)
	live := s.live(s.id())
	must[nomad.Registration](s)(s.Stop(s.ctx, live, *live.JobModifyIndex))
	_, err = s.Force(s.ctx, s.id())
	s.sayError("forcing a stopped one", err)
}

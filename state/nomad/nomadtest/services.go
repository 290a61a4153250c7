package nomadtest

import (
	"cmp"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
)

// registrations are the instances of a service: those of the allocations that run.
func (s *Server) registrations(ns, name string) []*api.ServiceRegistration {
	out := []*api.ServiceRegistration{}
	for _, a := range s.allocs {
		if a.Namespace != ns || !a.live() || a.ClientStatus != api.AllocClientStatusRunning {
			continue
		}
		for _, sv := range servicesOf(a) {
			if sv.Name == name {
				r := &api.ServiceRegistration{ID: a.ID + "-" + name, ServiceName: name, Namespace: ns, NodeID: nodeID, Datacenter: "dc1", JobID: a.JobID, AllocID: a.ID, Tags: sv.Tags}
				r.Address, r.Port = portOf(a, sv.PortLabel)
				out = append(out, r)
			}
		}
	}
	slices.SortFunc(out, func(a, b *api.ServiceRegistration) int { return cmp.Compare(a.AllocID, b.AllocID) })
	return out
}

// servicesOf are those that Nomad itself knows, not Consul.
func servicesOf(a *alloc) []*api.Service {
	g := groupOf(a.Job, a.TaskGroup)
	all := slices.Clone(g.Services)
	for _, t := range g.Tasks {
		all = append(all, t.Services...)
	}
	return slices.DeleteFunc(all, func(sv *api.Service) bool { return sv.Provider != "nomad" })
}

func portOf(a *alloc, label string) (string, int) {
	for _, p := range a.AllocatedResources.Shared.Ports {
		if p.Label == label {
			return p.HostIP, p.Value
		}
	}
	return hostIP, 0
}

// check is one that is to be made.
type check struct {
	api.AllocCheckStatus
	url, address string
}

// checksOf are the tcp and http checks of an allocation.
func checksOf(a *alloc) []check {
	var out []check
	for _, sv := range servicesOf(a) {
		for i, c := range sv.Checks {
			host, port := portOf(a, cmp.Or(c.PortLabel, sv.PortLabel))
			address := net.JoinHostPort(host, strconv.Itoa(port))
			one := check{AllocCheckStatus: api.AllocCheckStatus{ID: sv.Name + strconv.Itoa(i), Check: c.Name, Group: a.Name, Service: sv.Name, Mode: "healthiness"}, address: address}
			if c.Type == "http" {
				one.url = "http://" + address + c.Path
			}
			out = append(out, one)
		}
	}
	return out
}

// routeChecks makes the checks anew for each request.
func (s *Server) routeChecks(w http.ResponseWriter, id string) error {
	s.mu.Lock()
	a := s.allocs[id]
	var list []check
	if a != nil {
		list = checksOf(a)
	}
	s.mu.Unlock()
	if a == nil {
		return refuse(http.StatusNotFound, "Unknown allocation %q", id)
	}
	out := api.AllocCheckStatuses{}
	for _, c := range list {
		out[c.ID] = c.ask()
	}
	return reply(w, out, 0)
}

// counting are the checks that a deployment asks.
func (a *alloc) counting() []check {
	if value(groupOf(a.Job, a.TaskGroup).Update.HealthCheck) != "checks" {
		return nil
	}
	return checksOf(a)
}

// checksAgain is how soon checks that failed are asked again.
const checksAgain = 50 * time.Millisecond

func allPass(checks []check) bool {
	return !slices.ContainsFunc(checks, func(c check) bool { return c.ask().Status != checkPasses })
}

const checkPasses = "success"

// ask makes a check.
func (c check) ask() api.AllocCheckStatus {
	out := c.AllocCheckStatus
	out.Timestamp = time.Now().Unix()
	err := error(nil)
	if c.url == "" {
		out.Output, err = "nomad: tcp ok", dial(c.address)
	} else {
		out.StatusCode, out.Output, err = get(c.url)
	}
	out.Status = checkPasses
	if err != nil || out.StatusCode >= http.StatusMultipleChoices {
		out.Status = "failure"
	}
	if err != nil {
		out.Output = "nomad: " + err.Error()
	}
	return out
}

func dial(address string) error {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return conn.Close()
}

// get gives the answer's text where it is no good one.
func get(url string) (code int, text string, err error) {
	resp, err := (&http.Client{Timeout: time.Second}).Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp.StatusCode, "nomad: http ok", nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 3<<10))
	return resp.StatusCode, string(body), err
}

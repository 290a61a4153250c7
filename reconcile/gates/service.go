package gates

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// serviceGate asks Nomad's service discovery for the instances of a service in the
// change's allocations, and for their checks.
type serviceGate struct {
	patience
	name      string
	instances int // 0: one for each allocation of the groups that have the service
	checks    bool
	nameAt    hcl.Range
}

const nomadProvider = "nomad" // the other one is Consul

func decodeService(name string, body hcl.Body) (any, hcl.Diagnostics) {
	a := attributesOf(body, keys["service"])
	g := &serviceGate{patience: a.patience(), name: a.text("service", name), instances: a.count("instances"), checks: true, nameAt: a.at("service")}
	if checks := a.flag("checks"); checks != nil {
		g.checks = *checks
	}
	return g, a.diags
}

// String says for a plan what the gate asks.
func (g *serviceGate) String() string {
	want := "every allocation"
	if g.instances > 0 {
		want = fmt.Sprintf("%d allocations", g.instances)
	}
	if g.checks {
		want += ", its checks pass"
	}
	return fmt.Sprintf("service %s of %s, within %s", g.name, want, g.within)
}

// CheckJob: a service that the job lacks is never registered. A name that is only
// known at run time may be any.
func (g *serviceGate) CheckJob(j *api.Job) hcl.Diagnostics {
	var names []string
	for _, group := range j.TaskGroups {
		for _, s := range servicesOf(group) {
			names = append(names, s.Name)
			if strings.Contains(s.Name, "${") {
				return nil
			}
			if s.Name == g.name && s.Provider != nomadProvider {
				return hcl.Diagnostics{mistake(g.nameAt, "Not a service of Nomad", fmt.Sprintf("Service %q is registered with Consul: the gate knows those with provider = %q.", g.name, nomadProvider))}
			}
		}
	}
	if slices.Contains(names, g.name) {
		return nil
	}
	return hcl.Diagnostics{mistake(g.nameAt, "No such service", fmt.Sprintf("The job has no service %q; its services: %s.", g.name, list(names)))}
}

func servicesOf(g *api.TaskGroup) []*api.Service {
	out := slices.Clone(g.Services)
	for _, t := range g.Tasks {
		out = append(out, t.Services...)
	}
	return out
}

// Check asks until there are enough instances and their checks pass.
func (g *serviceGate) Check(ctx context.Context, n Nomad, c Change) (bool, string) {
	if why, nothing := nothingToRun(c.Job); nothing {
		return true, why
	}
	return g.until(ctx, func(ctx context.Context) (bool, string) { return g.look(ctx, n, c) })
}

func (g *serviceGate) look(ctx context.Context, n Nomad, c Change) (bool, string) {
	allocs, err := Fresh(ctx, n, c)
	if err != nil {
		return false, err.Error()
	}
	found, err := n.Services(ctx, c.ID.Namespace, g.name)
	if err != nil {
		return false, err.Error()
	}
	ours := map[string]bool{}
	for _, s := range found {
		if slices.ContainsFunc(allocs, func(a *api.AllocationListStub) bool { return a.ID == s.AllocID }) {
			ours[s.AllocID] = true
		}
	}
	want := cmp.Or(g.instances, g.expected(c.Job, allocs))
	saw := fmt.Sprintf("service %s is registered for %d of %d allocations", g.name, len(ours), want)
	if len(ours) < want || !g.checks {
		return len(ours) >= want, saw
	}
	return g.checked(ctx, n, slices.Sorted(maps.Keys(ours)), saw)
}

// expected is how many allocations have the service, at least one.
func (g *serviceGate) expected(j *api.Job, allocs []*api.AllocationListStub) int {
	groups := map[string]bool{}
	for _, group := range j.TaskGroups {
		groups[value(group.Name)] = slices.ContainsFunc(servicesOf(group), func(s *api.Service) bool { return s.Name == g.name })
	}
	count := 0
	for _, a := range allocs {
		if groups[a.TaskGroup] {
			count++
		}
	}
	return max(count, 1)
}

// checked tells of the first check that does not pass.
func (g *serviceGate) checked(ctx context.Context, n Nomad, allocs []string, saw string) (bool, string) {
	passing := 0
	for _, id := range allocs {
		checks, err := n.Checks(ctx, id)
		if err != nil {
			return false, saw + "; " + err.Error()
		}
		for _, key := range slices.Sorted(maps.Keys(checks)) {
			check := checks[key]
			switch {
			case check.Service != g.name:
			case check.Status == "success":
				passing++
			default:
				return false, fmt.Sprintf("%s, and check %q in allocation %s is %s: %s", saw, check.Check, short(id), check.Status, cmp.Or(excerpt(check.Output), "no output"))
			}
		}
	}
	return true, fmt.Sprintf("%s, checks passing: %d", saw, passing)
}

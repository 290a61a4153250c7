package gates

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
)

// ports are those of a change's allocations that a gate asks at.
type ports struct {
	group   string // empty: every group that has the port
	label   string
	any     bool // one allocation that passes is enough
	groupAt hcl.Range
	portAt  hcl.Range
}

func (a *attributes) ports() ports {
	a.together("port", "group", "pass")
	return ports{
		group: a.text("group", ""), label: a.text("port", ""), any: a.oneOf("pass", "all", "any") == "any",
		groupAt: a.at("group"), portAt: a.at("port"),
	}
}

// CheckJob: a port that the job lacks would never be there to be asked.
func (p ports) CheckJob(j *api.Job) hcl.Diagnostics {
	if p.label == "" {
		return nil
	}
	var groups, labels []string
	for _, g := range j.TaskGroups {
		groups = append(groups, value(g.Name))
		if p.group == "" || p.group == value(g.Name) {
			labels = append(labels, portsOf(g)...)
		}
	}
	if p.group != "" && !slices.Contains(groups, p.group) {
		return hcl.Diagnostics{mistake(p.groupAt, "No such group", fmt.Sprintf("The job has no group %q; its groups: %s.", p.group, list(groups)))}
	}
	if slices.Contains(labels, p.label) {
		return nil
	}
	where := "The job"
	if p.group != "" {
		where = fmt.Sprintf("Group %q", p.group)
	}
	return hcl.Diagnostics{mistake(p.portAt, "No such port", fmt.Sprintf("%s has no port %q; its ports: %s.", where, p.label, list(labels)))}
}

func list(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func portsOf(g *api.TaskGroup) []string {
	networks := slices.Clone(g.Networks)
	for _, t := range g.Tasks {
		if t.Resources != nil {
			networks = append(networks, t.Resources.Networks...)
		}
	}
	var labels []string
	for _, n := range networks {
		for _, p := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
			labels = append(labels, p.Label)
		}
	}
	return labels
}

// String says where the gate asks.
func (p ports) String() string {
	where := "port " + p.label
	if p.group != "" {
		where += " of group " + p.group
	}
	if p.any {
		return where + " of any allocation"
	}
	return where + " of every allocation"
}

// target is one address to ask, and whose it is.
type target struct{ alloc, address string }

func (t target) String() string {
	return fmt.Sprintf("allocation %s at %s", short(t.alloc), t.address)
}

// targets are the addresses of the port in the change's allocations.
func (p ports) targets(ctx context.Context, n Nomad, c Change) ([]target, error) {
	allocs, err := Fresh(ctx, n, c)
	if err != nil {
		return nil, err
	}
	var out []target
	for _, a := range allocs {
		if p.group != "" && a.TaskGroup != p.group {
			continue
		}
		whole, err := n.Allocation(ctx, a.ID)
		if err != nil {
			return nil, err
		}
		if address := addressOf(whole, p.label); address != "" {
			out = append(out, target{a.ID, address})
		}
	}
	slices.SortFunc(out, func(a, b target) int { return strings.Compare(a.alloc, b.alloc) })
	return out, nil
}

// addressOf is host:port of a port of an allocation; empty where it has none.
func addressOf(a *api.Allocation, label string) string {
	if a.AllocatedResources == nil {
		return ""
	}
	for _, p := range a.AllocatedResources.Shared.Ports {
		if p.Label == label {
			return hostPort(p.HostIP, p.Value)
		}
	}
	for _, t := range a.AllocatedResources.Tasks {
		for _, n := range t.Networks {
			for _, p := range slices.Concat(n.ReservedPorts, n.DynamicPorts) {
				if p.Label == label {
					return hostPort(n.IP, p.Value)
				}
			}
		}
	}
	return ""
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// each asks at every allocation's address, side by side.
func (p ports) each(ctx context.Context, n Nomad, c Change, ask func(ctx context.Context, address string) (bool, string)) (bool, string) {
	if why, nothing := nothingToRun(c.Job); nothing {
		return true, why
	}
	targets, err := p.targets(ctx, n, c)
	if err != nil {
		return false, err.Error()
	}
	if len(targets) == 0 {
		return false, fmt.Sprintf("there is no allocation with port %s", p.label)
	}
	good, saw := make([]bool, len(targets)), make([]string, len(targets))
	var asked sync.WaitGroup
	for i, t := range targets {
		asked.Go(func() {
			ok, text := ask(ctx, t.address)
			good[i], saw[i] = ok, fmt.Sprintf("%s: %s", t, text)
		})
	}
	asked.Wait()
	return p.verdict(good, saw)
}

// verdict tells of one allocation that decided.
func (p ports) verdict(good []bool, saw []string) (bool, string) {
	ok := slices.Contains(good, true)
	if !p.any {
		ok = !slices.Contains(good, false)
	}
	detail := saw[slices.Index(good, ok)]
	if n := len(good); n > 1 {
		passed := 0
		for _, g := range good {
			if g {
				passed++
			}
		}
		detail = fmt.Sprintf("%d of %d allocations pass; %s", passed, n, detail)
	}
	return ok, detail
}

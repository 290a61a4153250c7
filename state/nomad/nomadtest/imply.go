package nomadtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// imply adds what follows from a group's signals, services, networks and use of
// Vault: constraints, and the names of services and checks. Consul's service mesh is
// left out.
func imply(g *api.TaskGroup) {
	var signals []string
	vault, identities := false, false
	services(g, func(owner *[]*api.Constraint, task string, s *api.Service) {
		implyService(g, owner, task, s)
		identities = identities || s.Identity != nil
	})
	for _, t := range g.Tasks {
		vault, identities = vault || t.Vault != nil, identities || len(t.Identities) > 0
		signals = append(signals, signalsOf(t)...)
	}
	if vault {
		unlessThere(&g.Constraints, "${attr.vault.version}", "semver", ">= 0.6.1")
	}
	slices.Sort(signals)
	if signals = slices.Compact(signals); len(signals) > 0 {
		once(&g.Constraints, "${attr.os.signals}", "set_contains", strings.Join(signals, ","))
	}
	for _, n := range g.Networks {
		implyNetwork(g, n)
	}
	if identities {
		once(&g.Constraints, "${attr.nomad.version}", "semver", ">= 1.7.0-a")
	}
}

func services(g *api.TaskGroup, do func(owner *[]*api.Constraint, task string, s *api.Service)) {
	for _, s := range g.Services {
		do(&g.Constraints, "", s)
	}
	for _, t := range g.Tasks {
		for _, s := range t.Services {
			do(&t.Constraints, t.Name, s)
		}
	}
}

func implyService(g *api.TaskGroup, owner *[]*api.Constraint, task string, s *api.Service) {
	s.CheckRestart = nil // the checks have it
	s.TaskName = cmp.Or(s.TaskName, task)
	for i := range s.Checks {
		c := &s.Checks[i]
		c.Name, c.TaskName = cmp.Or(c.Name, fmt.Sprintf("service: %q check", s.Name)), cmp.Or(c.TaskName, s.TaskName)
	}
	if s.Provider != "nomad" {
		unlessThere(owner, "${attr.consul.version}", "semver", ">= 1.8.0")
		return
	}
	once(&g.Constraints, "${attr.nomad.service_discovery}", "=", "true")
	if len(s.Checks) > 0 {
		once(&g.Constraints, "${attr.nomad.version}", "semver", ">= 1.4.0")
	}
}

func signalsOf(t *api.Task) []string {
	var out []string
	if t.KillSignal != "" {
		out = append(out, t.KillSignal)
	}
	if t.Vault != nil && *t.Vault.ChangeMode == "signal" {
		out = append(out, *t.Vault.ChangeSignal)
	}
	for _, tmpl := range t.Templates {
		if *tmpl.ChangeMode == "signal" {
			out = append(out, *tmpl.ChangeSignal)
		}
	}
	return out
}

func implyNetwork(g *api.TaskGroup, n *api.NetworkResource) {
	if n.MBits != nil && *n.MBits == 0 {
		n.MBits = nil
	}
	for _, ports := range [][]api.Port{n.DynamicPorts, n.ReservedPorts} {
		for i := range ports {
			ports[i].HostNetwork = cmp.Or(ports[i].HostNetwork, "default")
		}
	}
	if n.Mode != "bridge" {
		return
	}
	for _, plugin := range []string{"bridge", "firewall", "host-local", "loopback", "portmap"} {
		unlessThere(&g.Constraints, "${attr.plugins.cni.version."+plugin+"}", "semver", ">= 0.4.0")
	}
}

// once adds a constraint that is not there yet, unlessThere one of whose attribute
// there is none.
func once(list *[]*api.Constraint, attribute, operand, value string) {
	if !slices.ContainsFunc(*list, func(c *api.Constraint) bool {
		return c.LTarget == attribute && c.Operand == operand && c.RTarget == value
	}) {
		*list = append(*list, api.NewConstraint(attribute, operand, value))
	}
}

func unlessThere(list *[]*api.Constraint, attribute, operand, value string) {
	if !slices.ContainsFunc(*list, func(c *api.Constraint) bool { return c.LTarget == attribute }) {
		*list = append(*list, api.NewConstraint(attribute, operand, value))
	}
}

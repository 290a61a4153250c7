package reconcile

import (
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// imply adds the constraints that follow from what groups ask for. Their order does
// not matter, that some yield to one that the user has written does. False where it
// is not known what the servers add.
func imply(j *api.Job, a *added) bool {
	for _, g := range j.TaskGroups {
		for _, t := range g.Tasks {
			t.Constraints = inPartition(t.Constraints, t.Consul)
		}
		g.Constraints = inPartition(g.Constraints, g.Consul)
		implyVault(g)
		implySecrets(j, g)
		implySignals(g)
		implyServices(g)
		implyNetworks(g)
		if !a.give(g) {
			return false
		}
		implyIdentities(g)
	}
	return true
}

// yielding adds a constraint unless there is one of the same attribute.
func yielding(list *[]*api.Constraint, attribute, operand, value string) {
	if !slices.ContainsFunc(*list, func(c *api.Constraint) bool { return c.LTarget == attribute }) {
		*list = append(*list, api.NewConstraint(attribute, operand, value))
	}
}

func inPartition(list []*api.Constraint, c *api.Consul) []*api.Constraint {
	if c == nil || c.Partition == "" {
		return list
	}
	return append(list, api.NewConstraint(attribute("consul", c.Cluster, "partition"), "=", c.Partition))
}

// attribute is one of a node's Consul or Vault.
func attribute(service, cluster, name string) string {
	if cluster == "" || cluster == "default" {
		return "${attr." + service + "." + name + "}"
	}
	return "${attr." + service + "." + cluster + "." + name + "}"
}

func implyVault(g *api.TaskGroup) {
	for _, t := range g.Tasks {
		if t.Vault == nil {
			continue
		}
		least := ">= 0.6.1"
		if t.Vault.Cluster != "default" {
			least = ">= 1.11.0"
		}
		yielding(&g.Constraints, attribute("vault", t.Vault.Cluster, "version"), "semver", least)
	}
}

// implySecrets: the providers of one group are asked of all.
func implySecrets(j *api.Job, g *api.TaskGroup) {
	for _, other := range j.TaskGroups {
		for _, t := range other.Tasks {
			for _, s := range t.Secrets {
				yielding(&g.Constraints, "${attr.plugins.secrets."+s.Provider+".version}", "is_set", "")
			}
		}
	}
}

func implySignals(g *api.TaskGroup) {
	var signals []string
	for _, t := range g.Tasks {
		if t.KillSignal != "" {
			signals = append(signals, t.KillSignal)
		}
		if v := t.Vault; v != nil && *v.ChangeMode == "signal" {
			signals = append(signals, *v.ChangeSignal)
		}
		for _, tmpl := range t.Templates {
			if *tmpl.ChangeMode == "signal" {
				signals = append(signals, *tmpl.ChangeSignal)
			}
		}
	}
	if len(signals) == 0 {
		return
	}
	slices.Sort(signals)
	g.Constraints = append(g.Constraints, api.NewConstraint("${attr.os.signals}", "set_contains", strings.Join(slices.Compact(signals), ",")))
}

func implyServices(g *api.TaskGroup) {
	implyConsul(&g.Constraints, g.Services)
	implyNative(g, g.Services)
	for _, t := range g.Tasks {
		implyConsul(&t.Constraints, t.Services)
		implyNative(g, t.Services)
	}
}

func implyConsul(list *[]*api.Constraint, services []*api.Service) {
	for _, s := range services {
		if s.Provider == "consul" {
			yielding(list, attribute("consul", s.Cluster, "version"), "semver", ">= 1.8.0")
		}
	}
}

func implyNative(g *api.TaskGroup, services []*api.Service) {
	for _, s := range services {
		if s.Provider != "nomad" {
			continue
		}
		g.Constraints = append(g.Constraints, api.NewConstraint("${attr.nomad.service_discovery}", "=", "true"))
		if len(s.Checks) > 0 {
			g.Constraints = append(g.Constraints, api.NewConstraint("${attr.nomad.version}", "semver", ">= 1.4.0"))
		}
	}
}

func implyNetworks(g *api.TaskGroup) {
	if slices.ContainsFunc(g.Networks, func(n *api.NetworkResource) bool { return n.Mode == "bridge" }) {
		for _, plugin := range []string{"bridge", "firewall", "host-local", "loopback", "portmap"} {
			yielding(&g.Constraints, "${attr.plugins.cni.version."+plugin+"}", "semver", ">= 0.4.0")
		}
	}
	if slices.ContainsFunc(g.Services, isTransparent) {
		yielding(&g.Constraints, "${attr.plugins.cni.version.consul-cni}", "semver", ">= 1.4.2")
		yielding(&g.Constraints, "${attr.nomad.version}", "semver", ">= 1.8.0-dev")
	}
	if slices.ContainsFunc(g.Tasks, func(t *api.Task) bool { return t.Schedule != nil }) {
		yielding(&g.Constraints, "${attr.nomad.version}", "semver", ">= 1.8.0-dev")
	}
}

func isTransparent(s *api.Service) bool {
	return hasSidecar(s) && s.Connect.SidecarService.Proxy != nil && s.Connect.SidecarService.Proxy.TransparentProxy != nil
}

// implyIdentities names the identities of services, and asks for nodes that know of
// more identities than one.
func implyIdentities(g *api.TaskGroup) {
	found := false
	services := slices.Clone(g.Services)
	for _, t := range g.Tasks {
		services = append(services, t.Services...)
		found = found || len(t.Identities) > 0
	}
	for _, s := range services {
		if s.Identity == nil {
			continue
		}
		found = true
		if s.Provider == "consul" {
			s.Identity.Name, s.Identity.ServiceName = identityName(s), s.Name
		}
	}
	if found {
		g.Constraints = append(g.Constraints, api.NewConstraint("${attr.nomad.version}", "semver", ">= 1.7.0-a"))
	}
}

func identityName(s *api.Service) string {
	name := "consul-service_"
	if s.TaskName != "" {
		name += s.TaskName + "-"
	}
	return name + s.Name + "-" + s.PortLabel
}

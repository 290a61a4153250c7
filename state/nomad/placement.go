package nomad

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// Unplaced says in an operator's words, one sentence a group, what Nomad found no
// place for: `group web has no place: no node has 4096 MB memory free`. The
// metrics are those of an evaluation or a plan; numbers that they lack are the
// job's, which may be nil.
func Unplaced(failed map[string]*api.AllocationMetric, j *api.Job) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		if m := failed[name]; m != nil {
			out = append(out, fmt.Sprintf("group %s has no place%s: %s", name, howMany(m, j), whyUnplaced(m, j, groupOf(j, name))))
		}
	}
	return out
}

// howMany: Nomad counts the allocations that fail alike after the first one; of a
// system job these are nodes.
func howMany(m *api.AllocationMetric, j *api.Job) string {
	switch {
	case m.CoalescedFailures == 0:
		return ""
	case nodeByNode(m, j):
		return fmt.Sprintf(" on %d nodes", m.CoalescedFailures+1)
	}
	return fmt.Sprintf(" for %d allocations", m.CoalescedFailures+1)
}

// nodeByNode: the metric of a system job that is short of something is that of the
// first such node alone; others may run it.
func nodeByNode(m *api.AllocationMetric, j *api.Job) bool {
	return j != nil && j.Type != nil && (*j.Type == api.JobTypeSystem || *j.Type == api.JobTypeSysbatch) && m.NodesExhausted > 0
}

func groupOf(j *api.Job, name string) *api.TaskGroup {
	if j != nil {
		for _, g := range j.TaskGroups {
			if g != nil && g.Name != nil && *g.Name == name {
				return g
			}
		}
	}
	return &api.TaskGroup{}
}

func whyUnplaced(m *api.AllocationMetric, j *api.Job, g *api.TaskGroup) string {
	if len(m.QuotaExhausted) > 0 {
		return "the quota of the namespace is used up: " + strings.Join(m.QuotaExhausted, ", ")
	}
	if m.NodesEvaluated == 0 {
		return "no ready node" + where(m, j)
	}
	all := m.NodesEvaluated
	if nodeByNode(m, j) {
		all = 0
	}
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(m.ConstraintFiltered)) {
		parts = append(parts, filterWords(what, g).said(m.ConstraintFiltered[what], all))
	}
	for _, what := range slices.Sorted(maps.Keys(m.DimensionExhausted)) {
		parts = append(parts, dimensionWords(what, g).said(m.DimensionExhausted[what], all))
	}
	if len(parts) == 0 {
		parts = []string{wanted{"fit", "fits", "it"}.said(all, all)}
	}
	return strings.Join(parts, ", ") + classes(m)
}

// where are the datacenters and the node pool that the job asks for.
func where(m *api.AllocationMetric, j *api.Job) string {
	out := ""
	if j != nil && len(j.Datacenters) == 1 && j.Datacenters[0] != "*" {
		out = " in datacenter " + j.Datacenters[0]
	} else if j != nil && len(j.Datacenters) > 1 {
		out = " in datacenters " + strings.Join(j.Datacenters, ", ")
	}
	pool := m.NodePool
	if pool == "" && j != nil && j.NodePool != nil {
		pool = *j.NodePool
	}
	switch {
	case pool == "" || pool == api.NodePoolAll:
	case out == "":
		out = " in node pool " + pool
	default:
		out += " of node pool " + pool
	}
	return out
}

// ineligible is what Nomad says of a node like one that it ruled out before, for this
// allocation or another one of the job; it does not say again why.
const ineligible = "computed class ineligible"

// classes: where nodes have classes, which of them were looked at in vain.
func classes(m *api.AllocationMetric) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(m.ClassFiltered)) {
		parts = append(parts, fmt.Sprintf("%d of class %s ruled out", m.ClassFiltered[name], name))
	}
	for _, name := range slices.Sorted(maps.Keys(m.ClassExhausted)) {
		parts = append(parts, fmt.Sprintf("%d of class %s full", m.ClassExhausted[name], name))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// wanted is what a node would need to do, in plural and singular: have, has 4096
// MB memory free.
type wanted struct{ verb, third, what string }

func have(format string, args ...any) wanted {
	return wanted{"have", "has", fmt.Sprintf(format, args...)}
}

// said tells how many of the nodes do not; without a number of all, that one does
// not.
func (w wanted) said(n, all int) string {
	switch {
	case all == 0:
		return fmt.Sprintf("a node does not %s %s", w.verb, w.what)
	case n >= all && (w.verb == "have" || all == 1):
		return fmt.Sprintf("no node %s %s", w.third, w.what)
	case n >= all:
		return fmt.Sprintf("none of %d nodes %s %s", all, w.third, w.what)
	case n == 1:
		return fmt.Sprintf("1 of %d nodes does not %s %s", all, w.verb, w.what)
	}
	return fmt.Sprintf("%d of %d nodes do not %s %s", n, all, w.verb, w.what)
}

var (
	missingHostNetwork = regexp.MustCompile(`^missing (host network ".*)$`)
	portCollision      = regexp.MustCompile(`^network: reserved port collision (.*)=(\d+)$`)
	usedProperty       = regexp.MustCompile(`^distinct_property: (.*)=(.*) used by (\d+) allocs$`)
)

// filterWords are those for a reason that rules a node out, however empty it is.
func filterWords(reason string, g *api.TaskGroup) wanted {
	switch reason {
	case "missing drivers":
		return have("a healthy driver %s", list(drivers(g), "that it asks for"))
	case "missing devices":
		return have("%s", list(devices(g), "the devices that it asks for"))
	case "missing compatible host volumes":
		return have("%s as the job asks for it", list(hostVolumes(g), "the host volumes"))
	case "missing network":
		return have("the network %s", list(networks(g), "that it asks for"))
	case api.ConstraintDistinctHosts:
		return wanted{"take", "takes", "another allocation of the job (distinct_hosts)"}
	case ineligible:
		return wanted{"differ", "differs", "from nodes that were ruled out before"}
	}
	if m := missingHostNetwork.FindStringSubmatch(reason); m != nil {
		return have("the %s", m[1])
	}
	if m := usedProperty.FindStringSubmatch(reason); m != nil {
		text := fmt.Sprintf("another allocation of the job: %s=%s is used by %s (distinct_property)", m[1], m[2], plural(m[3], "allocation"))
		return wanted{"take", "takes", text}
	}
	if strings.HasPrefix(reason, "${") {
		return wanted{"satisfy", "satisfies", strings.TrimSpace(reason)}
	}
	return wanted{"fit", "fits", "(" + reason + ")"}
}

// dimensionWords are those for what a node has not enough of.
func dimensionWords(dimension string, g *api.TaskGroup) wanted {
	need := needs(g)
	switch dimension {
	case "memory":
		return amount(need.memory, "MB", "memory")
	case "cpu":
		return amount(need.cpu, "MHz", "cpu")
	case "disk":
		return amount(need.disk, "MB", "disk")
	case "cores":
		return amount(need.cores, "cores", "")
	}
	if m := portCollision.FindStringSubmatch(dimension); m != nil {
		return have("port %s free (port %q)", m[2], m[1])
	}
	if what, ok := strings.CutPrefix(dimension, "devices: "); ok {
		return have("%s free (%s)", list(devices(g), "the devices that it asks for"), what)
	}
	if what, ok := strings.CutPrefix(dimension, "network: "); ok {
		return have("the ports or the network that it asks for (%s)", what)
	}
	return have("enough %s", dimension)
}

func amount(n int, unit, of string) wanted {
	if n == 0 {
		return have("enough %s free", cmp.Or(of, unit))
	}
	if n == 1 {
		unit = strings.TrimSuffix(unit, "s")
	}
	return have("%s free", strings.TrimSpace(fmt.Sprintf("%d %s %s", n, unit, of)))
}

// list names what is asked for, or says otherwise.
func list(names []string, otherwise string) string {
	if len(names) == 0 {
		return otherwise
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

func plural(n, what string) string {
	if n != "1" {
		what += "s"
	}
	return n + " " + what
}

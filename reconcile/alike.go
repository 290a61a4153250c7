package reconcile

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// alike reports whether registering desired over live would change nothing, as
// far as this can be told without asking Nomad. What it calls equal is: the live
// job is compared as it stands with what Nomad (2.0) would store for desired, so
// what Nomad adds must be there and be what it would add today. What it does not
// call equal may still be; only Nomad's dry-run knows. It takes it that servers add
// no identities because their own configuration says so; see added for those that do.
func alike(live, desired *api.Job) bool { return nothingAdded.alike(live, desired) }

func (a *added) alike(live, desired *api.Job) bool {
	if live == nil || desired == nil || live.Multiregion != nil || desired.Multiregion != nil {
		return false // a job of several regions is another one in each
	}
	want := job.Clone(desired)
	return stored(want, live, a) && sameValues(reflect.ValueOf(live), reflect.ValueOf(want))
}

// stored makes of a job what Nomad stores for it when it is registered over live;
// false where that cannot be told.
func stored(j, live *api.Job, a *added) bool {
	j.Canonicalize() // as the server does first
	storedJob(j, live)
	for _, g := range j.TaskGroups {
		storedGroup(j, g)
		if !connect(g) {
			return false
		}
	}
	return imply(j, a)
}

func storedJob(j, live *api.Job) {
	if r := *j.Region; live.Region != nil && (r == "" || r == api.GlobalRegion) { // which is that of the server asked, where live is from
		j.Region = live.Region
	}
	orDefault(j.Namespace, job.DefaultNamespace)
	orDefault(j.NodePool, "default")
	if len(j.Datacenters) == 0 {
		j.Datacenters = []string{"*"}
	}
	*j.ParentID, *j.ConsulNamespace = "", "" // a register cannot give them
	j.Dispatched, j.DispatchIdempotencyToken = false, new("")
	if p := j.ParameterizedJob; p != nil {
		p.Payload = cmp.Or(p.Payload, "optional")
	}
}

func storedGroup(j *api.Job, g *api.TaskGroup) {
	//lint:ignore SA1019 Nomad ignores them, but stores one
	g.StopAfterClientDisconnect, g.MaxClientDisconnect, g.PreventRescheduleOnLost = nil, nil, new(false)
	if d := g.Disconnect; d != nil {
		zero(&d.LostAfter)
	}
	if g.Scaling != nil {
		storedScaling(j, g, nil, g.Scaling)
	}
	for _, n := range g.Networks {
		storedNetwork(n)
	}
	for _, s := range g.Services {
		storedService(s, *j.Name, *g.Name, "group")
	}
	for _, t := range g.Tasks {
		storedTask(j, g, t)
	}
}

func storedTask(j *api.Job, g *api.TaskGroup, t *api.Task) {
	if len(t.Config) == 0 {
		t.Config = nil
	}
	orDefault(t.KillTimeout, 5*time.Second)
	for _, p := range t.ScalingPolicies {
		storedScaling(j, g, t, p)
	}
	for _, s := range t.Services {
		for i := range s.Checks {
			s.Checks[i].TaskName = "" // only a group's check may name a task
		}
		storedService(s, *j.Name, *g.Name, t.Name)
	}
	storedResources(t.Resources)
	storedIdentities(t)
	zero(&t.LogConfig.Disabled)
	t.LogConfig.Enabled = nil
	for _, tmpl := range t.Templates {
		*tmpl.ChangeSignal = strings.ToUpper(*tmpl.ChangeSignal)
	}
	if v := t.Vault; v != nil {
		v.Policies = nil // no server knows them any more
		v.Cluster = cmp.Or(v.Cluster, "default")
		orDefault(v.Namespace, *j.VaultNamespace)
		orDefault(v.ChangeMode, "restart")
		*v.ChangeSignal = strings.ToUpper(*v.ChangeSignal)
	}
}

func storedResources(r *api.Resources) {
	r.DiskMB = new(0)
	zero(&r.Cores)
	zero(&r.MemoryMaxMB)
	zero(&r.IOPS)
	zero(&r.SecretsMB)
	for _, n := range r.Networks {
		storedNetwork(n)
	}
}

func storedNetwork(n *api.NetworkResource) {
	n.Device = ""
	if n.MBits != nil && *n.MBits == 0 {
		n.MBits = nil // the one number that Nomad does not show when it is zero
	}
	for _, ports := range [][]api.Port{n.DynamicPorts, n.ReservedPorts} {
		for i := range ports {
			ports[i].HostNetwork = cmp.Or(ports[i].HostNetwork, "default")
		}
	}
}

// storedIdentities: every task has the identity that Nomad itself uses, apart from
// the others.
func storedIdentities(t *api.Task) {
	own := -1
	for i, id := range t.Identities {
		if storedIdentity(id); id.Name == "default" {
			t.Identity, own = id, i
		}
	}
	if own >= 0 {
		t.Identities = slices.Delete(t.Identities, own, own+1)
	}
	if t.Identity == nil {
		t.Identity = &api.WorkloadIdentity{}
	}
	storedIdentity(t.Identity)
}

func storedIdentity(id *api.WorkloadIdentity) {
	if id.Name = cmp.Or(id.Name, "default"); id.Name == "default" {
		id.Audience = []string{"nomadproject.io"}
	}
	id.ChangeSignal = strings.ToUpper(id.ChangeSignal)
}

func storedScaling(j *api.Job, g *api.TaskGroup, t *api.Task, p *api.ScalingPolicy) {
	if t != nil {
		zero(&p.Min)
		if p.Enabled == nil {
			p.Enabled = new(true)
		}
		p.Type = cmp.Or(p.Type, api.ScalingPolicyTypeHorizontal)
	}
	if p.Max == nil {
		p.Max = new(int64(-1))
	}
	p.Target = map[string]string{"Namespace": *j.Namespace, "Job": *j.ID, "Group": *g.Name}
	if t != nil {
		p.Target["Task"] = t.Name
	}
}

func storedService(s *api.Service, jobName, group, task string) {
	s.CheckRestart = nil // it is in the checks
	if s.TaskName == "" && task != "group" {
		s.TaskName = task
	}
	if strings.Contains(s.Name, "${") {
		s.Name = strings.NewReplacer("${JOB}", jobName, "${TASKGROUP}", group, "${TASK}", task,
			"${BASE}", jobName+"-"+group+"-"+task).Replace(s.Name)
	}
	for i := range s.Checks {
		c := &s.Checks[i]
		c.Advertise = ""
		c.Name = cmp.Or(c.Name, `service: "`+s.Name+`" check`)
		if c.TaskName == "" && s.TaskName != "group" {
			c.TaskName = s.TaskName
		}
	}
	if s.Connect != nil {
		storedConnect(s.Connect)
	}
}

// orDefault gives an empty value its default.
func orDefault[T comparable](p *T, value T) { *p = cmp.Or(*p, value) }

// zero: where Nomad stores a plain value, nil is zero.
func zero[T any](p **T) {
	if *p == nil {
		*p = new(T)
	}
}

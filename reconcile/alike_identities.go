package reconcile

import (
	"slices"
	"sync"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// added is what the servers of one Nomad add to jobs because their configuration says
// so: an identity for each use of Vault and Consul that has none of its own. Nobody
// but a server can tell, so it is learnt from jobs of which a dry-run has just said
// that nothing differs: one of each use, and all others are known. An operator may
// change the configuration, so it should not be kept for long. The zero value knows
// nothing yet.
type added struct {
	mu   sync.Mutex
	uses map[string]*api.WorkloadIdentity // by name, or service_CLUSTER; nil where servers add none
}

func (a *added) note(use string, id *api.WorkloadIdentity) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.uses == nil {
		a.uses = map[string]*api.WorkloadIdentity{}
	}
	a.uses[use] = id
}

// of is a copy of what is added to a use, nil for nothing; and whether that is known.
func (a *added) of(use string) (id *api.WorkloadIdentity, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id, known = a.uses[use]; id != nil {
		id = new(*id)
	}
	return id, known
}

// nothingAdded is what is known of servers without such a configuration; of the
// clusters of an Enterprise it knows nothing.
var nothingAdded = &added{uses: map[string]*api.WorkloadIdentity{"vault_default": nil, "consul_default": nil, "service_default": nil}}

// learn takes note of what Nomad has added to live, where its dry-run of desired shows
// no difference.
func (a *added) learn(live, desired *api.Job) {
	want := job.Clone(desired)
	if !stored(want, live, nothingAdded) || len(want.TaskGroups) != len(live.TaskGroups) {
		return
	}
	for i, g := range want.TaskGroups {
		l := live.TaskGroups[i]
		if *l.Name != *g.Name || len(l.Services) != len(g.Services) || len(l.Tasks) != len(g.Tasks) {
			continue
		}
		a.learnServices(l.Services, g.Services)
		for k, t := range g.Tasks {
			if l.Tasks[k].Name == t.Name && len(l.Tasks[k].Services) == len(t.Services) {
				a.learnServices(l.Tasks[k].Services, t.Services)
				a.learnTask(l.Tasks[k], g, t)
			}
		}
	}
}

func (a *added) learnServices(live, want []*api.Service) {
	for i, s := range want {
		if !lacksIdentity(s) || live[i].Name != s.Name {
			continue
		}
		id := live[i].Identity
		if id != nil {
			id = new(*id)
			id.Name, id.ServiceName = "", ""
		}
		a.note("service_"+s.Cluster, id)
	}
}

func (a *added) learnTask(live *api.Task, g *api.TaskGroup, t *api.Task) {
	for _, name := range lacking(g, t) {
		var id *api.WorkloadIdentity
		if i := identityAt(live.Identities, name); i >= 0 {
			id = new(*live.Identities[i])
		}
		a.note(name, id)
	}
}

// give adds to a group what servers add; false where that is not known.
func (a *added) give(g *api.TaskGroup) bool {
	for _, s := range g.Services {
		if !a.giveService(s) {
			return false
		}
	}
	for _, t := range g.Tasks {
		for _, s := range t.Services {
			if !a.giveService(s) {
				return false
			}
		}
		for _, name := range lacking(g, t) {
			id, known := a.of(name)
			if !known {
				return false
			}
			if id != nil {
				id.Name = name
				t.Identities = append(t.Identities, id)
			}
		}
	}
	return true
}

func (a *added) giveService(s *api.Service) bool {
	if !lacksIdentity(s) {
		return true
	}
	var known bool
	s.Identity, known = a.of("service_" + s.Cluster)
	return known
}

func lacksIdentity(s *api.Service) bool { return s.Provider == "consul" && s.Identity == nil }

// lacking is the names of the identities that a task needs and does not give.
func lacking(g *api.TaskGroup, t *api.Task) []string {
	var need []string
	if c := t.Consul; c != nil {
		need = append(need, "consul_"+c.Cluster)
	} else if g.Consul != nil {
		need = append(need, "consul_"+g.Consul.Cluster)
	}
	if t.Vault != nil {
		need = append(need, "vault_"+t.Vault.Cluster)
	}
	return slices.DeleteFunc(need, func(name string) bool { return identityAt(t.Identities, name) >= 0 })
}

func identityAt(ids []*api.WorkloadIdentity, name string) int {
	return slices.IndexFunc(ids, func(id *api.WorkloadIdentity) bool { return id.Name == name })
}

package jobspec

import (
	"time"

	"github.com/hashicorp/nomad/api"
)

// normalize fills in what Nomad's own parser fills in before a job is sent; what
// the server adds later is not its business.
func (d *decoder) normalize(name string) {
	j := d.job
	if j.Name == nil {
		j.Name = new(name)
	}
	if j.ID == nil {
		j.ID = new(name)
	}
	if j.Periodic != nil && (j.Periodic.Spec != nil || j.Periodic.Specs != nil) {
		j.Periodic.SpecType = new("cron")
	}
	normalizeVault(d.top.vault)
	d.ungroupedTasks()
	for _, g := range j.TaskGroups {
		normalizePorts(g.Networks)
		for _, t := range g.Tasks {
			d.normalizeTask(t)
		}
	}
}

func (d *decoder) ungroupedTasks() {
	if len(d.top.tasks) == 0 {
		return
	}
	var groups []*api.TaskGroup
	for _, t := range d.top.tasks {
		groups = append(groups, &api.TaskGroup{Name: new(t.Name), Tasks: []*api.Task{t}})
	}
	d.job.TaskGroups = append(groups, d.job.TaskGroups...)
}

func (d *decoder) normalizeTask(t *api.Task) {
	if t.Resources != nil {
		normalizePorts(t.Resources.Networks)
	}
	for _, tmpl := range t.Templates {
		normalizeTemplate(tmpl)
	}
	normalizeVault(t.Vault)
	if t.Vault == nil {
		t.Vault = d.top.vault
	}
	t.Secrets = append(t.Secrets[:len(t.Secrets):len(t.Secrets)], d.top.secrets...)
	if len(t.Secrets) == 0 {
		t.Secrets = d.top.secrets
	}
	for i, id := range t.Identities {
		if id.Name == "" || id.Name == "default" {
			t.Identity = id
			t.Identities = append(t.Identities[:i:i], t.Identities[i+1:]...)
			break
		}
	}
}

func normalizeVault(v *api.Vault) {
	if v == nil {
		return
	}
	setDefault(&v.Env, true)
	setDefault(&v.DisableFile, false)
	setDefault(&v.ChangeMode, "restart")
}

// normalizePorts: a port with a number is reserved, any other dynamic.
func normalizePorts(networks []*api.NetworkResource) {
	for _, n := range networks {
		if len(n.DynamicPorts) == 0 {
			continue
		}
		var reserved, dynamic []api.Port
		for _, p := range n.DynamicPorts {
			if p.Value > 0 {
				reserved = append(reserved, p)
			} else {
				dynamic = append(dynamic, p)
			}
		}
		n.ReservedPorts, n.DynamicPorts = reserved, dynamic
	}
}

func normalizeTemplate(t *api.Template) {
	setDefault(&t.ChangeMode, "restart")
	setDefault(&t.Perms, "0644")
	setDefault(&t.Splay, 5*time.Second)
	setDefault(&t.ErrMissingKey, false)
	c := t.ChangeScript
	if c == nil {
		return
	}
	if c.Args == nil {
		c.Args = []string{}
	}
	setDefault(&c.Timeout, 5*time.Second)
	setDefault(&c.FailOnError, false)
	setDefault(&c.RunOnFirstRender, false)
}

func setDefault[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

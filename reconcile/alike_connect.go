package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
)

func hasSidecar(s *api.Service) bool { return s.Connect != nil && s.Connect.SidecarService != nil }

// storedConnect: what an older API called by another name, and what Nomad stores
// although it was not given.
func storedConnect(c *api.ConsulConnect) {
	if t := c.SidecarTask; t != nil {
		storedResources(t.Resources)
		zero(&t.LogConfig.Disabled)
		t.LogConfig.Enabled = nil
	}
	if c.SidecarService == nil || c.SidecarService.Proxy == nil {
		return
	}
	p := c.SidecarService.Proxy
	if p.ExposeConfig != nil {
		p.Expose, p.ExposeConfig = p.ExposeConfig, nil
	}
	if e := p.Expose; e != nil && e.Path != nil {
		e.Paths, e.Path = e.Path, nil
	}
	for _, u := range p.Upstreams {
		zero(&u.MeshGateway)
	}
}

// connect adds the tasks and ports of Consul's service mesh; false where it is not
// known what Nomad would add.
func connect(g *api.TaskGroup) bool {
	if len(g.Networks) == 0 {
		return true
	}
	for _, s := range g.Services {
		switch {
		case s.Connect == nil:
		case strings.Contains(s.Name, "${") || s.Cluster != "default" || exposes(s):
			return false
		case hasSidecar(s):
			if !addSidecar(g, s) {
				return false
			}
		case s.Connect.Native:
			if !nativeTask(g, s) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// exposes: the ports that Nomad makes for such checks are named by a hash.
func exposes(s *api.Service) bool {
	return slices.ContainsFunc(s.Checks, func(c api.ServiceCheck) bool { return c.Expose })
}

func nativeTask(g *api.TaskGroup, s *api.Service) bool {
	i := slices.IndexFunc(g.Tasks, func(t *api.Task) bool { return t.Name == s.TaskName || s.TaskName == "" && len(g.Tasks) == 1 })
	if i < 0 {
		return false
	}
	g.Tasks[i].Kind, s.TaskName = "connect-native:"+s.Name, g.Tasks[i].Name
	return true
}

func addSidecar(g *api.TaskGroup, s *api.Service) bool {
	kind, name := "connect-proxy:"+s.Name, "connect-proxy-"+s.Name
	i := slices.IndexFunc(g.Tasks, func(t *api.Task) bool { return t.Kind == kind })
	if i < 0 {
		if slices.ContainsFunc(g.Tasks, func(t *api.Task) bool { return t.Name == name }) {
			return false // its own gets a random name
		}
		i, g.Tasks = len(g.Tasks), append(g.Tasks, proxyTask(g, name, kind))
		g.Tasks[i].Lifecycle = &api.TaskLifecycle{Hook: api.TaskLifecycleHookPrestart, Sidecar: true}
	}
	if s.Connect.SidecarTask != nil {
		if !adjust(g.Tasks[i], s.Connect.SidecarTask) {
			return false
		}
	}
	orDefault(g.Tasks[i].KillTimeout, 5*time.Second)
	addPort(g, cmp.Or(s.Connect.SidecarService.Port, name))
	return true
}

// proxyTask is the task of an Envoy, as Nomad adds it.
func proxyTask(g *api.TaskGroup, name, kind string) *api.Task {
	resources := &api.Resources{CPU: new(250), MemoryMB: new(128)}
	storedResources(resources)
	return &api.Task{
		Name: name, Kind: kind, Driver: proxyDriver(g), Resources: resources, RestartPolicy: g.RestartPolicy,
		KillTimeout: new(time.Duration(0)), ShutdownDelay: 5 * time.Second,
		Config: map[string]any{
			"image": "${meta.connect.sidecar_image}",
			"args": []any{
				"-c", "${NOMAD_SECRETS_DIR}/envoy_bootstrap.json", "-l", "${meta.connect.log_level}",
				"--concurrency", "${meta.connect.proxy_concurrency}", "--disable-hot-restart",
			},
		},
		LogConfig: &api.LogConfig{MaxFiles: new(2), MaxFileSizeMB: new(2), Disabled: new(false)},
		Identity:  &api.WorkloadIdentity{Name: "default", Audience: []string{"nomadproject.io"}},
		Constraints: []*api.Constraint{
			api.NewConstraint("${attr.consul.version}", "semver", ">= 1.8.0"),
			api.NewConstraint("${attr.consul.grpc}", ">", "0"),
		},
	}
}

func proxyDriver(g *api.TaskGroup) string {
	uses := func(driver string) bool {
		return slices.ContainsFunc(g.Tasks, func(t *api.Task) bool { return t.Driver == driver })
	}
	if uses("podman") && !uses("docker") {
		return "podman"
	}
	return "docker"
}

// adjust makes of a proxy's task what the user wants of it.
func adjust(t *api.Task, by *api.SidecarTask) bool {
	t.Name = cmp.Or(by.Name, t.Name)
	if by.Driver != "" && by.Driver != t.Driver {
		t.Driver, t.Config = by.Driver, by.Config
	} else {
		t.Config = joined(t.Config, by.Config)
	}
	t.User = cmp.Or(by.User, t.User)
	t.Env, t.Meta = joined(t.Env, by.Env), joined(t.Meta, by.Meta)
	t.KillSignal = cmp.Or(by.KillSignal, t.KillSignal)
	t.KillTimeout, t.ShutdownDelay = by.KillTimeout, *by.ShutdownDelay
	if by.VolumeMounts != nil {
		t.VolumeMounts = by.VolumeMounts
	}
	if by.Identities != nil {
		return false // whichever is called default has a place of its own
	}
	adjustResources(t.Resources, by.Resources)
	if n := *by.LogConfig.MaxFiles; n > 0 {
		t.LogConfig.MaxFiles = new(n)
	}
	if n := *by.LogConfig.MaxFileSizeMB; n > 0 {
		t.LogConfig.MaxFileSizeMB = new(n)
	}
	return true
}

func adjustResources(r, by *api.Resources) {
	for _, p := range [][2]**int{
		{&r.CPU, &by.CPU}, {&r.Cores, &by.Cores}, {&r.MemoryMB, &by.MemoryMB},
		{&r.MemoryMaxMB, &by.MemoryMaxMB}, {&r.SecretsMB, &by.SecretsMB},
	} {
		if **p[1] != 0 {
			*p[0] = *p[1]
		}
	}
	if len(by.Networks) > 0 {
		r.Networks = by.Networks
	}
	if len(by.Devices) > 0 {
		r.Devices = by.Devices
	}
}

func joined[V any](a, b map[string]V) map[string]V {
	if a == nil {
		return b
	}
	maps.Copy(a, b)
	return a
}

// addPort adds a proxy's port to the first network.
func addPort(g *api.TaskGroup, label string) {
	n := g.Networks[0]
	if !slices.ContainsFunc(n.DynamicPorts, func(p api.Port) bool { return p.Label == label }) {
		n.DynamicPorts = append(n.DynamicPorts, api.Port{Label: label, To: -1, HostNetwork: "default"})
	}
}

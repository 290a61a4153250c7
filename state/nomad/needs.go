package nomad

import (
	"cmp"
	"fmt"

	"github.com/hashicorp/nomad/api"
)

// room is what a group takes on a node: MHz, whole cores, MB and MB.
type room struct{ cpu, cores, memory, disk int }

func (r room) plus(o room) room {
	return room{r.cpu + o.cpu, r.cores + o.cores, r.memory + o.memory, r.disk + o.disk}
}

func (r room) atLeast(o room) room {
	return room{max(r.cpu, o.cpu), max(r.cores, o.cores), max(r.memory, o.memory), max(r.disk, o.disk)}
}

// needs adds up the tasks of a group as the scheduler does: tasks that never run
// at the same moment share their room, but for cores.
func needs(g *api.TaskGroup) room {
	var pre, main, post, cores room
	for _, t := range g.Tasks {
		r := ofTask(t.Resources)
		cores.cores += r.cores
		r.cores = 0
		switch l := t.Lifecycle; {
		case l == nil || l.Hook == api.TaskLifecycleHookPoststart:
			main = main.plus(r)
		case l.Hook == api.TaskLifecycleHookPoststop:
			post = post.plus(r)
		default:
			pre = pre.plus(r)
			if l.Sidecar {
				main = main.plus(r)
			}
		}
	}
	out := main.atLeast(pre).atLeast(post).plus(cores)
	if d := g.EphemeralDisk; d != nil && d.SizeMB != nil {
		out.disk = *d.SizeMB
	}
	return out
}

func ofTask(r *api.Resources) room {
	out := room{}
	if r == nil {
		return out
	}
	if r.Cores != nil {
		out.cores = *r.Cores
	}
	if r.CPU != nil && out.cores == 0 {
		out.cpu = *r.CPU
	}
	if r.MemoryMB != nil {
		out.memory = *r.MemoryMB
	}
	return out
}

func drivers(g *api.TaskGroup) []string {
	var out []string
	for _, t := range g.Tasks {
		out = append(out, t.Driver)
	}
	return out
}

func devices(g *api.TaskGroup) []string {
	var out []string
	for _, t := range g.Tasks {
		if t.Resources == nil {
			continue
		}
		for _, d := range t.Resources.Devices {
			n := uint64(1)
			if d.Count != nil {
				n = *d.Count
			}
			out = append(out, fmt.Sprintf("%d %s", n, d.Name))
		}
	}
	return out
}

func hostVolumes(g *api.TaskGroup) []string {
	var out []string
	for _, v := range g.Volumes {
		if v != nil && v.Type == "host" {
			out = append(out, "the host volume "+cmp.Or(v.Source, v.Name))
		}
	}
	return out
}

func networks(g *api.TaskGroup) []string {
	var out []string
	for _, n := range g.Networks {
		if n != nil {
			out = append(out, cmp.Or(n.Mode, "host"))
		}
	}
	return out
}

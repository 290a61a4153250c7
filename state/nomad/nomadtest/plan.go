package nomadtest

import (
	"strconv"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// plan is the dry-run of registering j.
func (s *Server) plan(j *api.Job, withDiff bool) (*api.JobPlanResponse, error) {
	canonicalize(j)
	if err := s.validate(j); err != nil {
		return nil, err
	}
	rec := s.jobs[job.ID{Namespace: *j.Namespace, Name: *j.ID}]
	resp := &api.JobPlanResponse{Annotations: &api.PlanAnnotations{DesiredTGUpdates: map[string]*api.DesiredUpdates{}}}
	var old *api.Job
	if rec == nil {
		rec = &record{}
		j.Version, j.JobModifyIndex = new(uint64), new(s.index+1)
	} else {
		old = rec.versions[0]
		resp.JobModifyIndex = *old.JobModifyIndex
		j.Version, j.JobModifyIndex = old.Version, old.JobModifyIndex
		if !sameSpec(old, j) {
			j.Version, j.JobModifyIndex = new(*old.Version+1), new(s.index+1)
		}
	}
	for name, n := range rec.needs(old, j) {
		resp.Annotations.DesiredTGUpdates[name] = &api.DesiredUpdates{
			Ignore: uint64(n.ignore), Place: uint64(len(n.place)), Stop: uint64(len(n.stop)),
			InPlaceUpdate: uint64(len(n.inPlace)), DestructiveUpdate: uint64(len(n.destroy)), Canary: uint64(len(n.canary)),
		}
	}
	if withDiff {
		resp.Diff = diffJobs(old, j)
		annotate(resp.Diff, resp.Annotations.DesiredTGUpdates)
	}
	return resp, nil
}

// needs is what every group needs, those that go included.
func (rec *record) needs(old, j *api.Job) map[string]need {
	out := map[string]need{}
	if j.IsPeriodic() || j.IsParameterized() {
		for _, g := range j.TaskGroups {
			out[*g.Name] = need{place: make([]int, countOf(j, g))} // as Nomad shows it
		}
		return out
	}
	for _, g := range j.TaskGroups {
		out[*g.Name] = rec.need(j, g, rec.room(j, g))
	}
	for _, a := range rec.allocs {
		if a.live() && groupOf(j, a.TaskGroup) == nil {
			n := out[a.TaskGroup]
			n.stop = append(n.stop, a)
			out[a.TaskGroup] = n
		}
	}
	return out
}

// annotate says in the diff what it makes Nomad do.
func annotate(d *api.JobDiff, updates map[string]*api.DesiredUpdates) {
	for _, g := range d.TaskGroups {
		if u := updates[g.Name]; u != nil {
			g.Updates = map[string]uint64{}
			for what, n := range map[string]uint64{
				"ignore": u.Ignore, "create": u.Place, "destroy": u.Stop,
				"in-place update": u.InPlaceUpdate, "create/destroy update": u.DestructiveUpdate,
			} {
				if n > 0 {
					g.Updates[what] = n
				}
			}
		}
		for _, f := range g.Fields {
			if f.Name == "Count" {
				annotateCount(f)
			}
		}
		for _, t := range g.Tasks {
			annotateTask(g, t)
		}
	}
}

func annotateCount(f *api.FieldDiff) {
	before, _ := strconv.Atoi(f.Old)
	after, _ := strconv.Atoi(f.New)
	switch {
	case before < after:
		f.Annotations = []string{"forces create"}
	case before > after:
		f.Annotations = []string{"forces destroy"}
	}
}

func annotateTask(g *api.TaskGroupDiff, t *api.TaskDiff) {
	whole := g.Type == "Added" || g.Type == "Deleted"
	switch {
	case t.Type == "None":
	case whole && t.Type == "Added":
		t.Annotations = []string{"forces create"}
	case whole && t.Type == "Deleted":
		t.Annotations = []string{"forces destroy"}
	case replaces(t):
		t.Annotations = []string{"forces create/destroy update"}
	default:
		t.Annotations = []string{"forces in-place update"}
	}
}

// replaces tells which changes Nomad announces as replacing the task.
func replaces(t *api.TaskDiff) bool {
	for _, f := range t.Fields {
		if f.Name != "KillTimeout" {
			return true
		}
	}
	for _, o := range t.Objects {
		switch o.Name {
		case "Service", "Constraint", "Affinity", "Spread":
		case "LogConfig":
			for _, f := range o.Fields {
				if f.Name == "Disabled" { // named even where it stays as it is
					return true
				}
			}
		default:
			return true
		}
	}
	return false
}

package nomadtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// canonicalize fills in what the client library and then the server fill in.
func canonicalize(j *api.Job) {
	j.Canonicalize()
	if value(j.NodePool) == "" {
		j.NodePool = new("default")
	}
	if len(j.Datacenters) == 0 {
		j.Datacenters = []string{"*"}
	}
	fill(&j.Region, "global")
	fill(&j.Namespace, job.DefaultNamespace)
	fill(&j.DispatchIdempotencyToken, "")
	j.Update = jobUpdate(!isBatch(j))
	for _, g := range j.TaskGroups {
		//lint:ignore SA1019 deprecated, but still filled in and shown in diffs
		fill(&g.PreventRescheduleOnLost, false)
		if isBatch(j) {
			g.Update = nil
		}
		for _, t := range g.Tasks {
			canonicalizeTask(t)
		}
		if g.Scaling != nil {
			g.Scaling.Target = map[string]string{"Namespace": *j.Namespace, "Job": *j.ID, "Group": *g.Name}
		}
		imply(g)
	}
}

// jobUpdate is what the server leaves of the job's strategy when it has moved it to
// the groups.
func jobUpdate(has bool) *api.UpdateStrategy {
	u := &api.UpdateStrategy{
		AutoPromote: new(false), AutoRevert: new(false), Canary: new(0), HealthCheck: new(""),
		HealthyDeadline: new(time.Duration(0)), MinHealthyTime: new(time.Duration(0)), ProgressDeadline: new(time.Duration(0)),
		MaxParallel: new(0), Stagger: new(time.Duration(0)),
	}
	if has {
		u.MaxParallel, u.Stagger = new(1), new(30*time.Second)
	}
	return u
}

func canonicalizeTask(t *api.Task) {
	if t.Identity == nil {
		t.Identity = &api.WorkloadIdentity{Name: "default", Audience: []string{"nomadproject.io"}}
	}
	if r := t.Resources; r != nil {
		for _, p := range []**int{&r.Cores, &r.DiskMB, &r.IOPS, &r.MemoryMaxMB, &r.SecretsMB} {
			fill(p, 0)
		}
	}
}

func fill[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

// validate refuses, in Nomad's words, what tests are likely to get wrong.
func (s *Server) validate(j *api.Job) error {
	var wrong []string
	if id := *j.ID; id == "" {
		wrong = append(wrong, "Missing job ID")
	} else if strings.Contains(id, " ") {
		wrong = append(wrong, "Job ID contains a space")
	}
	if !s.hasNamespace(*j.Namespace) {
		wrong = append(wrong, fmt.Sprintf("job %q is in nonexistent namespace %q", *j.ID, *j.Namespace))
	}
	if pool := *j.NodePool; pool != "default" && pool != api.NodePoolAll {
		wrong = append(wrong, fmt.Sprintf("job %q is in nonexistent node pool %q", *j.ID, pool))
	}
	if len(j.TaskGroups) == 0 {
		wrong = append(wrong, "Missing job task groups")
	}
	for _, g := range j.TaskGroups {
		for _, t := range g.Tasks {
			if t.Driver == "" {
				wrong = append(wrong, fmt.Sprintf("Task group %s validation failed: Task %s validation failed: Missing task driver", *g.Name, t.Name))
			}
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	noun := "errors"
	if len(wrong) == 1 {
		noun = "error"
	}
	return refuse(http.StatusInternalServerError, "%d %s occurred:\n\t* %s\n\n", len(wrong), noun, strings.Join(wrong, "\n\t* "))
}

// tree is a job as plain maps and lists, which are easy to compare.
func tree(v any) map[string]any {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out map[string]any
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	if d.Decode(&out) != nil {
		return nil
	}
	return out
}

// sameSpec tells whether registering b over a changes anything.
func sameSpec(a, b *api.Job) bool {
	ta, tb := tree(a), tree(b)
	for _, k := range []string{"Status", "StatusDescription", "Version", "Stable", "CreateIndex", "ModifyIndex", "JobModifyIndex", "SubmitTime", "NomadTokenID", "VersionTag"} {
		delete(ta, k)
		delete(tb, k)
	}
	return same(ta, tb)
}

// same compares trees; null, empty and absent are one.
func same(a, b any) bool {
	if empty(a) || empty(b) {
		return empty(a) && empty(b)
	}
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		for k := range b {
			if ok = ok && same(a[k], b[k]); !ok {
				return false
			}
		}
		for k := range a {
			if ok = ok && same(a[k], b[k]); !ok {
				return false
			}
		}
		return ok
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return a == b
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func groupOf(j *api.Job, name string) *api.TaskGroup {
	if j != nil {
		for _, g := range j.TaskGroups {
			if *g.Name == name {
				return g
			}
		}
	}
	return nil
}

func taskOf(g *api.TaskGroup, name string) *api.Task {
	for _, t := range g.Tasks {
		if t.Name == name {
			return t
		}
	}
	return nil
}

func value[T cmp.Ordered](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

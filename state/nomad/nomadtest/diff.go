package nomadtest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/nomad/api"
)

// block is a place in a job that Nomad shows as an object of a diff.
type block struct {
	key  string // the field
	name string // how the diff calls it
	by   string // lists: the field that pairs elements; empty: whole elements
}

// The blocks in the order in which Nomad shows them.
var (
	jobBlocks = []block{
		{key: "Datacenters", name: "Datacenters"}, {key: "Constraints", name: "Constraint"}, {key: "Affinities", name: "Affinity"},
		{key: "Periodic", name: "Periodic"}, {key: "ParameterizedJob", name: "ParameterizedJob"}, {key: "Multiregion", name: "Multiregion"}, {key: "UI", name: "UI"},
	}
	groupBlocks = []block{
		{key: "Constraints", name: "Constraint"}, {key: "Affinities", name: "Affinity"}, {key: "RestartPolicy", name: "RestartPolicy"},
		{key: "Migrate", name: "Migrate"}, {key: "ReschedulePolicy", name: "ReschedulePolicy"}, {key: "EphemeralDisk", name: "EphemeralDisk"},
		{key: "Consul", name: "Consul"}, {key: "Update", name: "Update"}, {key: "Disconnect", name: "Disconnect"},
		{key: "Networks", name: "Network"}, {key: "Scaling", name: "Scaling"}, {key: "Services", name: "Service", by: "Name"},
	}
	taskBlocks = []block{
		{key: "Constraints", name: "Constraint"}, {key: "Affinities", name: "Affinity"}, {key: "Config", name: "Config"},
		{key: "Resources", name: "Resources"}, {key: "LogConfig", name: "LogConfig"}, {key: "DispatchPayload", name: "DispatchPayload"},
		{key: "Artifacts", name: "Artifact"}, {key: "Services", name: "Service", by: "Name"}, {key: "Vault", name: "Vault"},
		{key: "Secrets", name: "Secret", by: "Name"}, {key: "Consul", name: "Consul"}, {key: "Templates", name: "Template", by: "DestPath"},
		{key: "Identity", name: "Identity"}, {key: "Identities", name: "Identity", by: "Name"}, {key: "VolumeMounts", name: "VolumeMount"}, {key: "Schedule", name: "Schedule"},
	}
)

// unseen are fields that Nomad leaves out of diffs.
var unseen = []string{
	"ID", "Status", "StatusDescription", "Version", "Stable", "CreateIndex", "ModifyIndex", "JobModifyIndex", "SubmitTime", "NomadTokenID", "VaultToken",
}

// diffJobs is the difference of two jobs as the plan route shows it; old is nil for a
// job that is not there.
func diffJobs(old, j *api.Job) *api.JobDiff {
	var a map[string]any
	if old != nil {
		a = tree(old)
	}
	b := tree(j)
	for _, k := range slices.Concat(unseen, []string{"Update", "VersionTag"}) {
		delete(a, k)
		delete(b, k)
	}
	out := &api.JobDiff{ID: *j.ID, Type: "None", Fields: fields(scalars(a), scalars(b), false), Objects: objects(jobBlocks, a, b)}
	for _, pair := range pairs(list(a, "TaskGroups"), list(b, "TaskGroups")) {
		out.TaskGroups = append(out.TaskGroups, diffGroups(pair[0], pair[1]))
	}
	switch {
	case old == nil:
		out.Type = "Added"
	case len(out.Fields) > 0 || len(out.Objects) > 0 || slices.ContainsFunc(out.TaskGroups, func(g *api.TaskGroupDiff) bool { return g.Type != "None" }):
		out.Type = "Edited"
	}
	return out
}

func diffGroups(a, b map[string]any) *api.TaskGroupDiff {
	out := &api.TaskGroupDiff{Type: kind(a, b), Name: nameOf(a, b), Fields: fields(scalars(a), scalars(b), false), Objects: objects(groupBlocks, a, b)}
	for _, pair := range pairs(list(a, "Tasks"), list(b, "Tasks")) {
		out.Tasks = append(out.Tasks, diffTasks(pair[0], pair[1]))
	}
	out.Fields = slices.DeleteFunc(out.Fields, isName)
	return out
}

func diffTasks(a, b map[string]any) *api.TaskDiff {
	out := &api.TaskDiff{Type: kind(a, b), Name: nameOf(a, b), Fields: fields(scalars(a), scalars(b), false), Objects: objects(taskBlocks, a, b)}
	out.Fields = slices.DeleteFunc(out.Fields, isName)
	return out
}

func isName(f *api.FieldDiff) bool { return f.Name == "Name" }

func kind(a, b any) string {
	switch {
	case same(a, b):
		return "None"
	case empty(a):
		return "Added"
	case empty(b):
		return "Deleted"
	}
	return "Edited"
}

func nameOf(a, b map[string]any) string {
	name, _ := cmp.Or(a["Name"], b["Name"]).(string)
	return name
}

// pairs matches groups or tasks by their names, in the order of names; what one side
// lacks is nil.
func pairs(a, b []any) [][2]map[string]any {
	byName := map[string]*[2]map[string]any{}
	for side, l := range [][]any{a, b} {
		for _, v := range l {
			m := v.(map[string]any)
			name := nameOf(m, nil)
			if byName[name] == nil {
				byName[name] = new([2]map[string]any)
			}
			byName[name][side] = m
		}
	}
	var out [][2]map[string]any
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, *byName[name])
	}
	return out
}

func list(m map[string]any, key string) []any {
	l, _ := m[key].([]any)
	return l
}

// scalars are the plain values of a block by name, those of maps as Env[KEY].
func scalars(m map[string]any) map[string]string {
	out := map[string]string{}
	for k, v := range m {
		if k == "Config" {
			continue
		}
		if keys, ok := v.(map[string]any); ok && (k == "Env" || k == "Meta") {
			for key, value := range keys {
				out[fmt.Sprintf("%s[%s]", k, key)] = fmt.Sprint(value)
			}
		}
		if s, ok := scalar(v); ok {
			out[k] = s
		}
	}
	return out
}

func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string, bool, json.Number:
		return fmt.Sprint(v), true
	}
	return "", false
}

// flatten names every value of a driver's config: args[0], work[0][x].
func flatten(prefix string, v any, out map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			name := k
			if prefix != "" {
				name = prefix + "[" + k + "]"
			}
			flatten(name, e, out)
		}
	case []any:
		for i, e := range v {
			flatten(fmt.Sprintf("%s[%d]", prefix, i), e, out)
		}
	default:
		if s, ok := scalar(v); ok {
			out[prefix] = s
		}
	}
}

// fields compares named values; with context also those that are equal.
func fields(a, b map[string]string, context bool) []*api.FieldDiff {
	names := slices.Sorted(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	var out []*api.FieldDiff
	for _, n := range names {
		f := &api.FieldDiff{Name: n, Old: a[n], New: b[n], Type: "Edited"}
		switch {
		case f.Old == f.New && !context:
			continue
		case f.Old == f.New:
			f.Type = "None"
		case f.Old == "":
			f.Type = "Added"
		case f.New == "":
			f.Type = "Deleted"
		}
		out = append(out, f)
	}
	return out
}

// objects compares the blocks of two jobs, groups or tasks.
func objects(blocks []block, a, b map[string]any) []*api.ObjectDiff {
	var out []*api.ObjectDiff
	for _, k := range blocks {
		va, vb := a[k.key], b[k.key]
		_, isList := cmp.Or(va, vb).([]any)
		switch {
		case same(va, vb):
		case k.key == "Datacenters":
			out = append(out, diffStrings(k.name, list(a, k.key), list(b, k.key)))
		case isList:
			out = append(out, diffLists(k, list(a, k.key), list(b, k.key))...)
		default:
			ma, _ := va.(map[string]any)
			mb, _ := vb.(map[string]any)
			out = append(out, diffObject(k.name, ma, mb))
		}
	}
	return out
}

// diffObject compares one block with all its values, and the lists in it.
func diffObject(name string, a, b map[string]any) *api.ObjectDiff {
	out := &api.ObjectDiff{Name: name, Type: kind(a, b)}
	if name == "Config" {
		fa, fb := map[string]string{}, map[string]string{}
		flatten("", a, fa)
		flatten("", b, fb)
		out.Fields = fields(fa, fb, true)
		return out
	}
	sa, sb := scalars(a), scalars(b)
	if name == "Update" {
		delete(sa, "Stagger")
		delete(sb, "Stagger")
	}
	out.Fields = fields(sa, sb, true)
	if !same(a["Audience"], b["Audience"]) {
		out.Objects = append(out.Objects, diffStrings("Audience", list(a, "Audience"), list(b, "Audience")))
	}
	return out
}

// diffStrings compares lists of strings as sets.
func diffStrings(name string, a, b []any) *api.ObjectDiff {
	out := &api.ObjectDiff{Name: name}
	for _, v := range b {
		if s, _ := scalar(v); slices.Contains(a, v) {
			out.Fields = append(out.Fields, &api.FieldDiff{Name: name, Type: "None", Old: s, New: s})
		} else {
			out.Fields = append(out.Fields, &api.FieldDiff{Name: name, Type: "Added", New: s})
		}
	}
	for _, v := range a {
		if s, _ := scalar(v); !slices.Contains(b, v) {
			out.Fields = append(out.Fields, &api.FieldDiff{Name: name, Type: "Deleted", Old: s})
		}
	}
	slices.SortFunc(out.Fields, func(x, y *api.FieldDiff) int {
		return cmp.Or(cmp.Compare(x.Old, y.Old), cmp.Compare(x.New, y.New))
	})
	added := slices.ContainsFunc(out.Fields, func(f *api.FieldDiff) bool { return f.Type == "Added" })
	deleted := slices.ContainsFunc(out.Fields, func(f *api.FieldDiff) bool { return f.Type == "Deleted" })
	out.Type = map[[2]bool]string{{true, true}: "Edited", {true, false}: "Added", {false, true}: "Deleted"}[[2]bool{added, deleted}]
	return out
}

// diffLists compares blocks of one kind: paired by a field, or else each as a whole.
func diffLists(k block, a, b []any) []*api.ObjectDiff {
	var out []*api.ObjectDiff
	rest := slices.Clone(b)
	for _, x := range a {
		old := x.(map[string]any)
		i := slices.IndexFunc(rest, func(y any) bool {
			if k.by != "" {
				return old[k.by] == y.(map[string]any)[k.by]
			}
			return same(x, y)
		})
		var next map[string]any
		if i >= 0 {
			next = rest[i].(map[string]any)
			rest = slices.Delete(rest, i, i+1)
		}
		if !same(old, next) {
			out = append(out, diffObject(k.name, old, next))
		}
	}
	for _, y := range rest {
		out = append(out, diffObject(k.name, nil, y.(map[string]any)))
	}
	return out
}

package reconcile

import (
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// differences says in the paths of job files what Nomad's dry-run found: of the
// differences between the two specs, those at places that the dry-run names.
// What Nomad adds by itself is in no dry-run, so it is no difference. A place
// that only the dry-run knows is shown as the dry-run shows it, unless done, the
// dry-run of what was shown already, names it too.
func differences(before, after *api.Job, d, done *api.JobDiff) []job.Difference {
	a, b := job.Clone(before), job.Clone(after)
	a.Canonicalize()
	b.Canonicalize()
	local := job.Diff(a, b, nil)
	explained := places(done)
	var out []job.Difference
	for _, place := range places(d) {
		found := slices.ContainsFunc(explained, place.same)
		for _, diff := range local {
			if within(diff.Path, place.path) || within(place.path, diff.Path) {
				out, found = appendOnce(out, diff), true
			}
		}
		if !found {
			out = appendOnce(out, place.raw)
		}
	}
	return out
}

func appendOnce(out []job.Difference, d job.Difference) []job.Difference {
	for _, have := range out {
		if have.Path.Equal(d.Path) {
			return out
		}
	}
	return append(out, d)
}

// within: Nomad's diff does not number repeated blocks, so indices are left out.
func within(p, place job.Path) bool {
	if len(p) < len(place) {
		return false
	}
	for i, s := range place {
		if p[i].Name != s.Name || p[i].Key != s.Key && s.Key != "" {
			return false
		}
	}
	return true
}

// place is what a dry-run found different: a field, or a group or task that one
// side lacks.
type place struct {
	path job.Path
	raw  job.Difference // as the dry-run shows it
}

func (p place) same(other place) bool { return p.path.Equal(other.path) }

func places(d *api.JobDiff) []place {
	if d == nil {
		return nil
	}
	out := placesIn(nil, reflect.TypeFor[api.Job](), d.Fields, d.Objects)
	for _, g := range d.TaskGroups {
		group := job.Path{}.Block("group", g.Name)
		if g.Type == "Added" || g.Type == "Deleted" {
			out = append(out, whole(group, g.Type))
			continue
		}
		out = append(out, placesIn(group, reflect.TypeFor[api.TaskGroup](), g.Fields, g.Objects)...)
		for _, t := range g.Tasks {
			task := group.Block("task", t.Name)
			if t.Type == "Added" || t.Type == "Deleted" {
				out = append(out, whole(task, t.Type))
				continue
			}
			out = append(out, placesIn(task, reflect.TypeFor[api.Task](), t.Fields, t.Objects)...)
		}
	}
	return out
}

func whole(p job.Path, kind string) place {
	none, block := cty.NullVal(cty.String), cty.StringVal("{ ... }")
	if kind == "Deleted" {
		return place{p, job.Difference{Path: p, Before: block, After: none}}
	}
	return place{p, job.Difference{Path: p, Before: none, After: block}}
}

// placesIn descends to the fields that differ; Nomad's diffs name those that do
// not as well, for context.
func placesIn(p job.Path, t reflect.Type, fields []*api.FieldDiff, objects []*api.ObjectDiff) []place {
	var out []place
	for _, f := range fields {
		if f.Type != "None" {
			path := fieldPath(p, t, f.Name)
			out = append(out, place{path, fieldDifference(path, f)})
		}
	}
	for _, o := range objects {
		if o.Type == "None" {
			continue
		}
		name := hclName(t, o.Name)
		out = append(out, placesIn(p.Attr(name), typeOf(t, name), o.Fields, o.Objects)...)
	}
	return out
}

// typeOf is the type of what a block or attribute of t holds, one element where
// it is a list.
func typeOf(t reflect.Type, name string) reflect.Type {
	if t.Kind() != reflect.Struct {
		return t
	}
	f, ok := job.FieldNamed(t, name)
	if !ok {
		return t
	}
	t = f.Type
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Pointer {
		t = t.Elem().Elem()
	}
	return t
}

func fieldDifference(p job.Path, f *api.FieldDiff) job.Difference {
	text := func(s string) cty.Value {
		if s == "" {
			return cty.NullVal(cty.String)
		}
		return cty.StringVal(s)
	}
	return job.Difference{Path: p, Before: text(f.Old), After: text(f.New)}
}

// fieldPath reads names such as KillTimeout, Env[KEY], Meta[a.b] and, in a
// config, args[0], whose list is one place.
func fieldPath(p job.Path, t reflect.Type, name string) job.Path {
	base, key, isMap := strings.Cut(strings.TrimSuffix(name, "]"), "[")
	switch {
	case t.Kind() == reflect.Map:
		return p.Attr(base)
	case t.Kind() != reflect.Struct: // a list of plain values
		return p
	}
	p = p.Attr(hclName(t, base))
	if isMap {
		p = p.Attr(key)
	}
	return p
}

// hclName is the name in job files of what Nomad's diff calls by its Go name,
// the blocks of a list in the singular.
func hclName(t reflect.Type, name string) string {
	if t.Kind() != reflect.Struct {
		return snake(name)
	}
	for _, f := range job.Fields(t) {
		if f.Go == name || f.Go == name+"s" || f.Name == snake(name) {
			return f.Name
		}
	}
	for _, f := range job.Fields(t) {
		if strings.HasPrefix(f.Go, name) {
			return f.Name
		}
	}
	return snake(name)
}

func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) {
			if i > 0 && name[i-1] != '_' && !unicode.IsUpper(rune(name[i-1])) {
				b.WriteByte('_')
			}
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

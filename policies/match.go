package policies

import (
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// match selects jobs, and tasks of them; everything that is given must match,
// and the zero value selects all.
type match struct {
	job, namespace, jobType []string
	meta                    map[string]string
	when                    *expression // sees job alone
	params                  map[string]cty.Value

	task, driver, lifecycle []string
}

var (
	jobFilters  = []string{"job", "namespace", "type", "meta", "when"}
	taskFilters = []string{"task", "driver", "lifecycle"}
	jobTypes    = []string{"service", "batch", "system", "sysbatch"}
	lifecycles  = []string{"main", "prestart", "poststart", "poststop"}
)

// match reads a match block; nil selects all.
func (d *decoder) match(b *hcl.Block, filters []string) match {
	if b == nil {
		return match{}
	}
	return d.filters(d.content(b.Body, schemaOf(filters)).Attributes)
}

func (d *decoder) filters(attrs hcl.Attributes) match {
	m := match{
		params: d.params, job: d.texts(attrs["job"]), namespace: d.texts(attrs["namespace"]), jobType: d.words(attrs["type"], jobTypes),
		task: d.texts(attrs["task"]), driver: d.texts(attrs["driver"]), lifecycle: d.words(attrs["lifecycle"], lifecycles),
	}
	if a := attrs["meta"]; a != nil {
		m.meta = d.metaGlobs(a)
	}
	if a := attrs["when"]; a != nil {
		m.when = new(d.typed(a, cty.Bool, "job"))
	}
	return m
}

// words reads globs over a few known words; one that matches none is a typo.
func (d *decoder) words(a *hcl.Attribute, known []string) []string {
	globs := d.texts(a)
	for _, g := range globs {
		if !slices.ContainsFunc(known, func(w string) bool { return globMatch(g, w) }) {
			d.fail(a.Expr.Range(), "Unknown value", "%s is %s, not %q.%s", a.Name, either(known), g, didYouMean(g, known))
		}
	}
	return globs
}

func (d *decoder) metaGlobs(a *hcl.Attribute) map[string]string {
	v, ok := d.constant(a, cty.Map(cty.String), `a map of strings such as { tier = "prod" }`)
	if !ok {
		return nil
	}
	globs := map[string]string{}
	for key, glob := range v.AsValueMap() {
		if glob.IsNull() {
			d.fail(a.Expr.Range(), "Wrong type", "meta must be a map of strings; %q is null.", key)
			continue
		}
		globs[key] = glob.AsString()
	}
	return globs
}

// selectsJob asks the job filters; `when` comes last, because it costs most.
func (m match) selectsJob(s *scope) (bool, hcl.Diagnostics) {
	id := job.IDOf(s.given)
	if !matchesAny(m.job, id.Name) || !matchesAny(m.namespace, id.Namespace) ||
		!matchesAny(m.jobType, jobType(s.given)) || !m.selectsMeta(s.given.Meta) {
		return false, nil
	}
	if m.when == nil {
		return true, nil
	}
	v, diags := evaluate(*m.when, place{scope: s, params: m.params, group: -1, slot: -1}, cty.Bool, "when")
	return !diags.HasErrors() && v.True(), diags
}

func jobType(j *api.Job) string {
	if j.Type == nil || *j.Type == "" {
		return "service"
	}
	return *j.Type
}

func (m match) selectsMeta(meta map[string]string) bool {
	for key, glob := range m.meta {
		if value, ok := meta[key]; !ok || !globMatch(glob, value) {
			return false
		}
	}
	return true
}

func (m match) selectsTask(t *api.Task) bool {
	return matchesAny(m.task, t.Name) && matchesAny(m.driver, t.Driver) && matchesAny(m.lifecycle, lifecycle(t))
}

func lifecycle(t *api.Task) string {
	if t.Lifecycle == nil || t.Lifecycle.Hook == "" {
		return "main"
	}
	return t.Lifecycle.Hook
}

// matchesAny: a filter that is not given lets everything pass.
func matchesAny(globs []string, s string) bool {
	_, ok := anyGlob(globs, s)
	return ok || len(globs) == 0
}

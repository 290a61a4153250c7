package policies

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// The scopes of rules.
const (
	jobScope   = "job"
	groupScope = "group"
	taskScope  = "task"
)

// rule is an invariant that the policy's author wrote as an expression.
type rule struct {
	terms
	id      string // rule.NAME
	about   string // its description
	scope   string
	forEach *expression // a place; nil without
	over    over
	when    *expression // nil: always
	assert  expression
	sources map[string]string // of the attributes, each on one line
	message *expression       // nil: the assert's source
	fixes   []fix
	at      hcl.Range
}

// fix is one edit that makes the assert hold.
type fix struct {
	path, value expression
}

var (
	ruleSchema = schemaOf([]string{"description", "scope", "for_each", "when", "assert", "message", "enforce"}, "fix")
	fixSchema  = &hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: "path", Required: true}, {Name: "value", Required: true}}}
)

func (d *decoder) rule(b *hcl.Block, inherited terms) rule {
	content := d.content(b.Body, ruleSchema)
	attrs := content.Attributes
	r := rule{
		id: "rule." + b.Labels[0], at: b.DefRange, terms: d.terms(attrs, inherited),
		about: d.text(attrs["description"]), scope: taskScope, sources: map[string]string{},
	}
	if a := attrs["scope"]; a != nil {
		r.scope = d.oneOf(a, taskScope, groupScope, jobScope)
	}
	if strings.TrimSpace(b.Labels[0]) == "" {
		d.fail(b.LabelRanges[0], "Missing name", "A rule needs a name: findings and exceptions refer to it.")
	}
	roots := r.roots()
	d.over = over{}
	for name, a := range attrs {
		r.sources[name] = strings.Join(strings.Fields(string(a.Expr.Range().SliceBytes(d.source.Bytes))), " ")
	}
	if a := attrs["for_each"]; a != nil {
		r.forEach = new(d.forEach(a, roots))
		r.over = d.over
		roots = append([]string{"each"}, roots...)
	}
	if a := attrs["when"]; a != nil {
		r.when = new(d.typed(a, cty.Bool, roots...))
	}
	if a := attrs["message"]; a != nil {
		r.message = new(d.typed(a, cty.String, roots...))
	}
	if a := attrs["assert"]; a != nil {
		r.assert = d.typed(a, cty.Bool, roots...)
	} else {
		d.fail(b.DefRange, "Nothing to hold", "A rule needs an assert: an expression that is true of what is right.")
	}
	for _, f := range content.Blocks {
		r.fixes = append(r.fixes, d.fix(f, roots))
	}
	return r
}

func (r rule) info() RuleInfo {
	return RuleInfo{
		ID: r.id, Description: r.about, Scope: r.scope, Enforce: r.enforce, Fix: r.fix && len(r.fixes) > 0, Range: r.at,
		Assert: r.sources["assert"], ForEach: r.sources["for_each"], When: r.sources["when"], Message: r.sources["message"],
	}
}

// roots are what the rule's expressions see, its own scope first.
func (r rule) roots() []string {
	switch r.scope {
	case jobScope:
		return jobVariables
	case groupScope:
		return []string{"group", "job", "live"}
	}
	return []string{"task", "group", "job", "live"}
}

// forEach must be a place of the job, since its elements are where findings point.
func (d *decoder) forEach(a *hcl.Attribute, roots []string) expression {
	e, _ := d.place(a.Expr, roots, "for_each goes over the blocks or keys at a place such as task.template, group.service or task.env.")
	if d.over = d.overOf(a.Expr); d.over.name != "" {
		d.uses.addElements(d.over, nil, d.over.element == nil)
	}
	return e
}

func (d *decoder) fix(b *hcl.Block, roots []string) fix {
	attrs := d.content(b.Body, fixSchema).Attributes
	var f fix
	if a := attrs["path"]; a != nil {
		f.path, _ = d.place(a.Expr, roots, "path is what the fix changes, written like task.resources.memory or each.value.port.")
	}
	if a := attrs["value"]; a != nil {
		f.value, _ = d.expression(a.Expr, roots...)
	}
	return f
}

// isPlace: a reference to part of the job as it is given; the live job is not ours
// to change here.
func isPlace(e hcl.Expression, roots []string) bool {
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		root := e.Traversal.RootName()
		name, _ := second(e.Traversal)
		return slices.Contains(roots, root) && root != "live" && len(e.Traversal) > 1 && (root != "each" || name == "value")
	case *hclsyntax.RelativeTraversalExpr:
		return isPlace(e.Source, roots)
	case *hclsyntax.IndexExpr:
		return isPlace(e.Collection, roots)
	}
	return false
}

// traversalOf is a place as a traversal, its computed indices evaluated.
func traversalOf(e hcl.Expression, ctx *hcl.EvalContext) (hcl.Traversal, hcl.Diagnostics) {
	switch e := e.(type) {
	case *hclsyntax.RelativeTraversalExpr:
		steps, diags := traversalOf(e.Source, ctx)
		return append(steps, e.Traversal...), diags
	case *hclsyntax.IndexExpr:
		steps, diags := traversalOf(e.Collection, ctx)
		key, more := e.Key.Value(ctx)
		return append(steps, hcl.TraverseIndex{Key: key, SrcRange: e.Key.Range()}), append(diags, more...)
	}
	t, diags := hcl.AbsTraversalForExpr(e)
	return slices.Clone(t), diags
}

// check asks the rule about a place of its scope, or about each of its elements.
func (r *rule) check(at place) ([]finding, hcl.Diagnostics) {
	if r.forEach == nil {
		return r.one(at)
	}
	elements, diags := r.elements(at)
	var out []finding
	for i := range elements {
		at.each = &elements[i]
		found, more := r.one(at)
		out, diags = append(out, found...), append(diags, more...)
	}
	return out, diags
}

// elements are the blocks of a list or of labels, or the keys of a map; none where
// there is no such block. Rules that go over the same share them.
func (r *rule) elements(at place) ([]element, hcl.Diagnostics) {
	key := slotOver{slot{at.group, at.slot}, r.over.root + "." + r.over.name}
	if out, ok := at.scope.over[key]; ok && r.over.name != "" {
		return out, nil
	}
	v, diags := r.collection(at)
	if diags.HasErrors() || v == cty.NilVal || v.IsNull() {
		return nil, diags
	}
	if !v.CanIterateElements() {
		return nil, hcl.Diagnostics{failure(r.forEach.Range(), "Wrong type", "for_each goes over blocks, a list or a map%s.", given(v))}
	}
	out := make([]element, 0, v.LengthInt())
	for it := v.ElementIterator(); it.Next(); {
		key, value := it.Element()
		out = append(out, element{key: key, value: value})
	}
	if r.over.name != "" {
		if at.scope.over == nil {
			at.scope.over = map[slotOver][]element{}
		}
		at.scope.over[key] = out
	}
	return out, nil
}

// collection is what for_each names; NilVal where there is nothing.
func (r *rule) collection(at place) (cty.Value, hcl.Diagnostics) {
	if r.over.name != "" {
		return at.scope.value(r.over.root, slot{at.group, at.slot}).GetAttr(r.over.name), nil
	}
	path, diags := at.pathOf(r.forEach.Expression, r.forEach.roots)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	v, ok := job.At(at.scope.canonical(), path)
	if !ok {
		return cty.NilVal, nil
	}
	return v, nil
}

// locate tells where the element at hand is.
func (r *rule) locate(at place) hcl.Diagnostics {
	if at.each == nil || at.each.path != nil {
		return nil
	}
	base := at
	base.each = nil
	path, diags := base.pathOf(r.forEach.Expression, r.forEach.roots)
	if diags.HasErrors() {
		return diags
	}
	var err error
	if at.each.path, err = path.Follow(hcl.Traversal{hcl.TraverseIndex{Key: at.each.key}}); err != nil {
		return hcl.Diagnostics{failure(r.forEach.Range(), "Not a place", "%s.", sentence(err.Error()))}
	}
	return nil
}

// one asks about one place. A finding's fix has to make the assert hold: one that
// does not is a mistake of the policy.
func (r *rule) one(at place) ([]finding, hcl.Diagnostics) {
	holds, diags := r.holds(at)
	if holds || diags.HasErrors() {
		return nil, diags
	}
	if diags = r.locate(at); diags.HasErrors() {
		return nil, diags
	}
	message, diags := r.say(at)
	if diags.HasErrors() {
		return nil, diags
	}
	edits, diags := r.edits(at)
	if !diags.HasErrors() {
		diags = r.proven(at, edits)
	}
	if diags.HasErrors() {
		return nil, diags
	}
	f := r.finding(r.id, "", r.where(at, edits), message, edits...)
	if at.each != nil {
		f.subject = at.each.path.String()
	}
	return []finding{f}, nil
}

func (r *rule) holds(at place) (bool, hcl.Diagnostics) {
	if r.when != nil {
		v, diags := evaluate(*r.when, at, cty.Bool, "when")
		if diags.HasErrors() || v.False() {
			return !diags.HasErrors(), diags
		}
	}
	v, diags := evaluate(r.assert, at, cty.Bool, "assert")
	return !diags.HasErrors() && v.True(), diags
}

func (r *rule) say(at place) (string, hcl.Diagnostics) {
	if r.message == nil {
		return "does not hold: " + r.sources["assert"], nil
	}
	v, diags := evaluate(*r.message, at, cty.String, "message")
	if diags.HasErrors() {
		return "", diags
	}
	return strings.Join(strings.Fields(v.AsString()), " "), nil
}

// edits are those of the fix blocks; a value that is null removes.
func (r *rule) edits(at place) ([]job.Edit, hcl.Diagnostics) {
	var out []job.Edit
	for _, f := range r.fixes {
		path, diags := at.pathOf(f.path.Expression, f.path.roots)
		if diags.HasErrors() {
			return nil, diags
		}
		value, diags := f.value.Value(at.context(f.value.roots))
		if diags.HasErrors() {
			return nil, diags
		}
		now, set := job.At(at.scope.given, path)
		switch {
		case !value.IsNull():
			out = append(out, job.Edit{Path: path, Op: job.Set, Value: value})
		case set:
			out = append(out, job.Edit{Path: path, Op: job.Remove, Value: now})
		}
	}
	return out, nil
}

// proven makes the edits on a copy and asks the rule again.
func (r *rule) proven(at place, edits []job.Edit) hcl.Diagnostics {
	if len(edits) == 0 {
		return nil
	}
	mended, err := job.Apply(at.scope.given, edits)
	if err != nil {
		return hcl.Diagnostics{failure(r.fixes[0].path.Range(), "The fix points nowhere", "%s.", sentence(err.Error()))}
	}
	at.scope = newScope(mended, at.scope.live, at.scope.uses)
	if at.each != nil {
		v, ok := job.At(at.scope.canonical(), at.each.path)
		if !ok || removes(edits, at.each.path) {
			return nil // the fix takes the element away; what has moved up is another one
		}
		at.each = &element{key: at.each.key, value: v, path: at.each.path}
	}
	holds, diags := r.holds(at)
	if !holds && !diags.HasErrors() {
		diags = hcl.Diagnostics{failure(r.assert.Range(), "The fix does not make its own assert hold",
			"With %s of %s the assert is still false. Correct the fix or the assert; until then nothing is done to the job.", edited(edits), r.id)}
	}
	return diags
}

func removes(edits []job.Edit, path job.Path) bool {
	return slices.ContainsFunc(edits, func(e job.Edit) bool { return e.Op == job.Remove && e.Path.Equal(path) })
}

func edited(edits []job.Edit) string {
	var out []string
	for _, e := range edits {
		out = append(out, e.String())
	}
	return "the fix (" + strings.Join(out, ", ") + ")"
}

func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// where a finding points: at what its only fix changes, else at the first thing of
// its own scope that the assert looks at and that is there.
func (r *rule) where(at place, edits []job.Edit) job.Path {
	if len(edits) == 1 {
		return edits[0].Path
	}
	own := r.scope
	base := at.path
	if at.each != nil {
		own, base = "each", at.each.path
	}
	for _, t := range r.assert.Variables() {
		if t.RootName() != own {
			continue
		}
		path, ok := at.follow(t)
		if ok && len(path) > len(base) {
			if _, there := job.At(at.scope.given, path); there {
				return path
			}
		}
	}
	return base
}

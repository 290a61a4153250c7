package jobspec

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"nomad-reconcile/state/job"
)

var (
	jobType        = reflect.TypeFor[api.Job]()
	groupType      = reflect.TypeFor[api.TaskGroup]()
	taskType       = reflect.TypeFor[api.Task]()
	constraintType = reflect.TypeFor[api.Constraint]()
	affinityType   = reflect.TypeFor[api.Affinity]()
)

// extras are blocks that stand in a job or a group for all tasks within.
type extras struct {
	vault   *api.Vault
	secrets []*api.Secret
	tasks   []*api.Task
}

// mayBeMap: whether a block of free keys may be written NAME = { ... } too.
func mayBeMap(parent reflect.Type, name string) bool {
	switch name {
	case "meta":
		return parent == jobType || parent == groupType || parent == taskType
	case "env":
		return parent == taskType
	}
	return false
}

// specialLabels are the blocks that specialBlock takes, with their labels.
func specialLabels(parent reflect.Type, typ string) (int, bool) {
	switch {
	case typ == "vault" && (parent == jobType || parent == groupType):
		return 0, true
	case typ == "secret" && (parent == jobType || parent == groupType),
		typ == "task" && parent == jobType,
		typ == "scaling" && parent == taskType:
		return 1, true
	}
	return 0, false
}

// specialBlock takes the blocks that have no field of their own in nomad/api.
func (d *decoder) specialBlock(b block, parent reflect.Value, p job.Path) bool {
	if _, special := specialLabels(parent.Type(), b.typ); !special {
		return false
	}
	switch owner := parent.Addr().Interface().(type) {
	case *api.Job:
		d.extra(b, &d.top, p)
	case *api.TaskGroup:
		d.groupExtra(b, owner, p)
	case *api.Task:
		d.taskScaling(b, owner, p)
	}
	return true
}

func (d *decoder) extra(b block, e *extras, p job.Path) {
	switch b.typ {
	case "vault":
		d.sole(b, e.vault == nil)
		e.vault = &api.Vault{}
		d.structBlock(b, reflect.ValueOf(e.vault).Elem(), d.blockPath(p, b, -1))
	case "secret":
		s := &api.Secret{}
		d.structBlock(b, reflect.ValueOf(s).Elem(), d.blockPath(p, b, len(e.secrets)))
		e.secrets = append(e.secrets, s)
	case "task":
		t := &api.Task{}
		// A task outside of groups is alone in a group of its own name.
		group := p.Block("group", b.labels[0].text)
		d.structBlock(b, reflect.ValueOf(t).Elem(), d.blockPath(group, b, -1))
		e.tasks = append(e.tasks, t)
	}
}

// groupExtra: mistakes inside a group's vault and secret blocks go unseen in
// Nomad [M], so they are warnings here, and of several vaults the last counts.
func (d *decoder) groupExtra(b block, g *api.TaskGroup, p job.Path) {
	before := len(d.diags)
	e := d.groups[g]
	e.vault = nilIf(b.typ == "vault", e.vault)
	d.extra(b, &e, p)
	d.groups[g] = e
	for _, diag := range d.diags[before:] {
		diag.Severity = hcl.DiagWarning
	}
}

func nilIf(yes bool, v *api.Vault) *api.Vault {
	if yes {
		return nil
	}
	return v
}

func (d *decoder) taskScaling(b block, t *api.Task, p job.Path) {
	typ, ok := map[string]string{"cpu": "vertical_cpu", "mem": "vertical_mem"}[strings.ToLower(b.labels[0].text)]
	if !ok {
		d.errorf(b.labels[0].at, "Invalid scaling policy name", "A task's scaling block is labelled \"cpu\" or \"mem\".")
		return
	}
	for _, earlier := range t.ScalingPolicies {
		if earlier.Type == typ {
			d.sole(b, false)
			return
		}
	}
	policy := &api.ScalingPolicy{}
	at := p
	if d.trace != nil {
		at = p.Elem("scaling", len(t.ScalingPolicies)) // by position: nomad/api knows no label here
	}
	d.structBlock(b, reflect.ValueOf(policy).Elem(), at)
	if policy.Type == "" {
		policy.Type = typ
	}
	if policy.Type != typ {
		d.errorf(b.header(), "Invalid scaling policy type", "The type of this block is %q, not %q.", typ, policy.Type)
		return
	}
	t.ScalingPolicies = append(t.ScalingPolicies, policy)
}

// finishGroup is what a group needs once its body is read.
func (d *decoder) finishGroup(b block, g *api.TaskGroup) {
	e := d.groups[g]
	for _, t := range g.Tasks {
		if t.Vault == nil {
			t.Vault = e.vault
		}
		switch {
		case len(e.secrets) == 0:
		case len(t.Secrets) == 0:
			t.Secrets = e.secrets
		default:
			t.Secrets = append(t.Secrets, t.Secrets...) // as Nomad has it: the task's own, twice [M]
		}
	}
	if g.Scaling == nil {
		return
	}
	if g.Scaling.Type == "" {
		g.Scaling.Type = "horizontal"
	}
	d.groupScaling(b, g.Scaling)
}

func (d *decoder) groupScaling(b block, s *api.ScalingPolicy) {
	for _, raw := range b.body.Blocks {
		if raw.Type != "scaling" {
			continue
		}
		if raw.Body.Attributes["max"] == nil {
			d.errorf(raw.DefRange(), "Missing required argument", "A group's scaling block needs \"max\".")
		}
		if attr := raw.Body.Attributes["type"]; attr != nil && s.Type != "horizontal" {
			d.errorf(attr.Expr.Range(), "Invalid group scaling type", "A group scales by type \"horizontal\" alone, not %q.", s.Type)
		}
	}
}

// shortcuts decodes constraint and affinity, where `version = ">= 1"` and the
// like say operator and value in one.
func (d *decoder) shortcuts(b block, v reflect.Value, p job.Path) bool {
	switch v.Type() {
	case constraintType:
		c := v.Addr().Interface().(*api.Constraint)
		d.constraint(b, p, c)
	case affinityType:
		d.affinity(b, p, v.Addr().Interface().(*api.Affinity))
	default:
		return false
	}
	return true
}

// The shortcuts in the order in which Nomad looks at them: a later one wins.
// Those ignored are read and not heeded.
var (
	constraintShortcuts = []string{"version", "semver", "regexp", "set_contains"}
	constraintIgnored   = []string{"set_contains_all", "set_contains_any", "is_set", "is_not_set"}
	affinityShortcuts   = []string{"version", "semver", "regexp", "set_contains_any", "set_contains_all", "set_contains"}
)

func (d *decoder) constraint(b block, p job.Path, c *api.Constraint) {
	known := slices.Concat([]string{"attribute", "value", "operator", "distinct_hosts", "distinct_property"}, constraintShortcuts, constraintIgnored)
	s := d.scalars(b, p, known)
	c.LTarget, c.RTarget, c.Operand = s.text("attribute", "attribute"), s.text("value", "value"), s.text("operator", "operator")
	s.shortcuts(constraintShortcuts, &c.Operand, &c.RTarget)
	for _, name := range constraintIgnored {
		s.text(name, "")
	}
	if hosts := s.get("distinct_hosts", "value", cty.Bool); hosts != "" {
		c.Operand, c.RTarget = "distinct_hosts", hosts
	}
	if property := s.text("distinct_property", "attribute"); property != "" {
		c.Operand, c.LTarget = "distinct_property", property
	}
	if c.Operand == "" {
		c.Operand = "="
	}
}

func (d *decoder) affinity(b block, p job.Path, a *api.Affinity) {
	s := d.scalars(b, p, append([]string{"attribute", "value", "operator", "weight"}, affinityShortcuts...))
	a.LTarget, a.RTarget, a.Operand = s.text("attribute", "attribute"), s.text("value", "value"), s.text("operator", "operator")
	if weight := s.get("weight", "weight", cty.Number); weight != "" {
		n, _ := strconv.ParseFloat(weight, 64)
		a.Weight = new(int8(int64(n)))
	}
	s.shortcuts(affinityShortcuts, &a.Operand, &a.RTarget)
	if a.Operand == "" {
		a.Operand = "="
	}
}

// scalars reads a body of nothing but scalars as text.
type scalars struct {
	decoder *decoder
	block   block
	path    job.Path
}

func (d *decoder) scalars(b block, p job.Path, known []string) scalars {
	for _, attr := range b.body.Attributes {
		if !slices.Contains(known, attr.Name) {
			d.unknown("argument", attr.Name, attr.NameRange, known)
		}
	}
	d.eachBlock(b, func(string) (int, bool) { return 0, false }, known, func(block) {})
	return scalars{d, b, p}
}

// get is an attribute as text, converted to t first, and empty for null and for
// none. It shows in the job as field (empty: nowhere).
func (s scalars) get(name, field string, t cty.Type) string {
	attr := s.block.body.Attributes[name]
	if attr == nil {
		return ""
	}
	if field != "" {
		s.decoder.traceAttr(s.path, field, attr, s.block)
	}
	return s.decoder.scalar(attr.Expr, s.block.scope, t)
}

func (s scalars) text(name, field string) string { return s.get(name, field, cty.String) }

// shortcuts sets operand and value from those that say both in one.
func (s scalars) shortcuts(names []string, operand, value *string) {
	for _, name := range names {
		if v := s.text(name, "value"); v != "" {
			*operand, *value = name, v
		}
	}
}

// scalar is an expression's value, converted to t, as text.
func (d *decoder) scalar(expr hclsyntax.Expression, s *scope, t cty.Type) string {
	if d.trace != nil {
		return ""
	}
	value, diags := d.value(expr, s)
	if d.add(diags); diags.HasErrors() {
		return ""
	}
	if t == cty.Number && isPlain(value) && isWhole(value) {
		return plainText(value)
	}
	value, err := convert.Convert(value, t)
	if err == nil {
		value, err = convert.Convert(value, cty.String)
	}
	if err != nil {
		d.errorf(expr.Range(), "Unsuitable value type", "A %s is required here.", t.FriendlyName())
		return ""
	}
	if value.IsNull() || !value.IsKnown() {
		return ""
	}
	return value.AsString()
}

package policies

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
)

// envInvariant says what a task's environment must and must not hold.
type envInvariant struct {
	terms
	block     bool     // the task must have an env block
	required  []string // must be there, whatever the value
	defaults  []envValue
	values    []envValue
	forbidden []string // globs
	matching  []envPattern
}

type envValue struct {
	key  string
	at   hcl.Range // of the key
	expr expression
}

type envPattern struct {
	key string
	re  *regexp.Regexp
}

var envNames = []string{"block", "required", "defaults", "values", "forbidden", "matching"}

func (d *decoder) env(b *hcl.Block, inherited terms) envInvariant {
	attrs := d.content(b.Body, schemaOf(append(slices.Clone(envNames), termNames...))).Attributes
	e := envInvariant{
		terms:    d.terms(attrs, inherited),
		required: d.texts(attrs["required"]), forbidden: d.texts(attrs["forbidden"]),
		defaults: d.envValues(attrs["defaults"]), values: d.envValues(attrs["values"]),
		matching: d.envPatterns(attrs["matching"]),
	}
	if a := attrs["block"]; a != nil {
		e.block = d.oneOf(a, "required") == "required"
	}
	for _, key := range e.required {
		d.envKey(attrs["required"].Expr.Range(), key)
	}
	d.contradictions(e, attrs["required"])
	return e
}

// demands are the IDs of what this block may find.
func (e envInvariant) demands() []string {
	var ids []string
	for _, rule := range []struct {
		id  string
		may bool
	}{
		{"env.block", e.block || len(e.required)+len(e.defaults)+len(e.values) > 0},
		{"env.required", len(e.required) > 0},
		{"env.defaults", len(e.defaults) > 0},
		{"env.values", len(e.values) > 0},
		{"env.forbidden", len(e.forbidden) > 0},
		{"env.matching", len(e.matching) > 0},
	} {
		if rule.may {
			ids = append(ids, rule.id)
		}
	}
	return ids
}

func (d *decoder) envKey(r hcl.Range, key string) {
	if key == "" || strings.ContainsAny(key, "=\x00*?") {
		d.fail(r, "Not an environment variable", "%q cannot be the name of an environment variable.", key)
	}
}

// pair is one KEY = expression of a map.
type pair struct {
	key   string
	at    hcl.Range // of the key
	value hcl.Expression
}

// pairs reads a map whose keys are constants, in the order of keys. One that is
// made by a function must be constant as a whole.
func (d *decoder) pairs(a *hcl.Attribute) []pair {
	var out []pair
	if items, diags := hcl.ExprMap(a.Expr); !diags.HasErrors() {
		for _, item := range items {
			key, ok := d.constantExpr("A key of "+a.Name, item.Key, cty.String, "a string")
			if ok {
				out = append(out, pair{key.AsString(), item.Key.Range(), item.Value})
			}
		}
	} else if v, ok := d.constant(a, cty.Map(cty.String), "a map of strings"); ok {
		for key, value := range v.AsValueMap() {
			out = append(out, pair{key, a.Expr.Range(), hcl.StaticExpr(value, a.Expr.Range())})
		}
	}
	slices.SortStableFunc(out, func(x, y pair) int { return strings.Compare(x.key, y.key) })
	for i := 1; i < len(out); i++ {
		if out[i].key == out[i-1].key {
			d.fail(out[i].at, "Duplicate key", "%s has %q twice.", a.Name, out[i].key)
		}
	}
	return out
}

func (d *decoder) envValues(a *hcl.Attribute) []envValue {
	if a == nil {
		return nil
	}
	var out []envValue
	for _, p := range d.pairs(a) {
		d.envKey(p.at, p.key)
		e, _ := d.expression(p.value, taskVariables...)
		out = append(out, envValue{p.key, p.at, e})
	}
	return out
}

func (d *decoder) envPatterns(a *hcl.Attribute) []envPattern {
	if a == nil {
		return nil
	}
	var out []envPattern
	for _, p := range d.pairs(a) {
		d.envKey(p.at, p.key)
		pattern, ok := d.constantExpr(fmt.Sprintf("The pattern of %q", p.key), p.value, cty.String, "a string")
		if !ok {
			continue
		}
		out = append(out, envPattern{p.key, d.regexp(p.value.Range(), pattern.AsString())})
	}
	return out
}

// contradictions: no key can be given two fates.
func (d *decoder) contradictions(e envInvariant, required *hcl.Attribute) {
	defaults := map[string]bool{}
	for _, v := range e.defaults {
		defaults[v.key] = true
		d.notForbidden(e, v.at, "defaults", v.key)
	}
	for _, v := range e.values {
		if defaults[v.key] {
			d.fail(v.at, "Contradiction", "%q stands in defaults and in values. Leave it in one of them.", v.key)
		}
		d.notForbidden(e, v.at, "values", v.key)
	}
	for _, key := range e.required {
		d.notForbidden(e, required.Expr.Range(), "required", key)
	}
}

func (d *decoder) notForbidden(e envInvariant, at hcl.Range, list, key string) {
	if glob, ok := anyGlob(e.forbidden, key); ok {
		d.fail(at, "Contradiction", "%q stands in %s, and %q in forbidden matches it. Leave it in one of them.", key, list, glob)
	}
}

// check asks in the order of the attributes in the reference. Doubts are one
// finding per rule, or a template that makes its keys at run time would drown the rest.
func (e envInvariant) check(at place) ([]finding, hcl.Diagnostics) {
	c := envCheck{envInvariant: e, env: at.task.environment(), at: at}
	c.missing()
	c.differing()
	c.forbiddenKeys()
	c.patterns()
	return c.found, c.diags
}

// envCheck holds one task's environment against the invariant.
type envCheck struct {
	envInvariant
	env   *environment
	at    place
	found []finding
	diags hcl.Diagnostics
}

func (c *envCheck) add(rule, key string, path job.Path, message string, edits ...job.Edit) {
	c.found = append(c.found, c.finding(rule, key, path, message, edits...))
}

// gap is a key that is not there.
type gap struct {
	rule, key, message string
	edits              []job.Edit
}

// missing finds keys that are not there. Without an env block they are one
// finding together, which makes the block.
func (c *envCheck) missing() {
	gaps := c.gaps()
	if len(c.at.task.Env) > 0 {
		for _, g := range gaps {
			c.add(g.rule, g.key, c.env.path.Attr(g.key), g.message, g.edits...)
		}
		return
	}
	if !c.block && len(gaps) == 0 {
		return
	}
	message := fmt.Sprintf("task %q has no env block", c.at.task.Name)
	var keys []string
	var edits []job.Edit
	for _, g := range gaps {
		if !slices.Contains(keys, g.key) {
			keys = append(keys, g.key)
		}
		edits = append(edits, g.edits...)
	}
	if len(keys) > 0 {
		message += "; missing: " + strings.Join(keys, ", ")
	}
	c.add("env.block", "", c.at.path, message, edits...)
}

func (c *envCheck) gaps() []gap {
	var gaps []gap
	var unsure []string
	for _, key := range c.required {
		switch c.env.has(key) {
		case absent:
			gaps = append(gaps, gap{"env.required", key, key + " is not set; it is required, and only a person can know its value", nil})
		case cannotTell:
			unsure = append(unsure, key)
		}
	}
	c.doubts("env.required", unsure, "whether %s is set")
	gaps = append(gaps, c.valueGaps("env.defaults", c.defaults, "%s is not set; its default is %s")...)
	return append(gaps, c.valueGaps("env.values", c.values, "%s is not set; it must be %s")...)
}

// valueGaps: a value that is wanted empty is as good as not there.
func (c *envCheck) valueGaps(rule string, wanted []envValue, message string) []gap {
	var gaps []gap
	var unsure []string
	for _, w := range wanted {
		if _, inTemplate := c.env.made[w.key]; inTemplate && rule == "env.values" {
			continue // differing compares it
		}
		switch c.env.has(w.key) {
		case absent:
			if want, ok := c.want(w); ok && want != "" {
				gaps = append(gaps, gap{rule, w.key, fmt.Sprintf(message, w.key, show(w.key, want)), []job.Edit{c.set(w.key, want)}})
			}
		case cannotTell:
			unsure = append(unsure, w.key)
		}
	}
	if rule == "env.defaults" {
		c.doubts(rule, unsure, "whether %s is set")
	}
	return gaps
}

func (c *envCheck) set(key, value string) job.Edit {
	return job.Edit{Path: c.env.path.Attr(key), Op: job.Set, Value: cty.StringVal(value)}
}

func (c *envCheck) want(w envValue) (string, bool) {
	v, diags := evaluate(w.expr, c.at, cty.String, w.key)
	c.diags = append(c.diags, diags...)
	if diags.HasErrors() {
		return "", false
	}
	return v.AsString(), true
}

// differing finds values that are set, but not as they must be. A template wins
// over the env block at run time, so there an edit of the block mends nothing.
func (c *envCheck) differing() {
	var unsure []string
	for _, w := range c.values {
		if c.env.mayMake(w.key) {
			unsure = append(unsure, w.key)
		}
		made, inTemplate := c.env.made[w.key]
		value := c.env.block[w.key]
		if !inTemplate && value == "" {
			continue
		}
		want, ok := c.want(w)
		switch {
		case !ok, inTemplate && made.known && made.value == want, !inTemplate && value == want:
		case inTemplate:
			c.add("env.values", w.key, made.path, fmt.Sprintf("%s must be %s; it is overridden by this template, which wins at run time", w.key, show(w.key, want)))
		default:
			c.add("env.values", w.key, c.env.path.Attr(w.key),
				fmt.Sprintf("%s is %s; it must be %s", w.key, show(w.key, value), show(w.key, want)), c.set(w.key, want))
		}
	}
	c.doubts("env.values", unsure, "whether %s keeps its value")
}

func (c *envCheck) forbiddenKeys() {
	if len(c.forbidden) == 0 {
		return
	}
	for _, key := range matching(c.forbidden, c.env.block) {
		if glob, ok := anyGlob(c.forbidden, key); ok && c.env.block[key] != "" {
			where := c.env.path.Attr(key)
			c.add("env.forbidden", key, where, fmt.Sprintf("%s is set; %s is forbidden", key, glob),
				job.Edit{Path: where, Op: job.Remove, Value: cty.StringVal(c.env.block[key])})
		}
	}
	for _, key := range matching(c.forbidden, c.env.made) {
		made := c.env.made[key]
		if glob, ok := anyGlob(c.forbidden, key); ok && !(made.known && made.value == "") {
			c.add("env.forbidden", key, made.path, fmt.Sprintf("%s is set by this template; %s is forbidden", key, glob))
		}
	}
	var unsure []string
	unsure = append(unsure, matching(c.forbidden, c.env.may)...)
	if c.env.any != nil {
		unsure = append(unsure, c.forbidden...)
	}
	c.doubts("env.forbidden", unsure, "whether %s stays unset")
}

// matching are the keys that a glob matches, in order.
func matching[V any](globs []string, keys map[string]V) []string {
	var out []string
	for key := range keys {
		if _, ok := anyGlob(globs, key); ok {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

// patterns holds the value that counts at run time against its pattern.
func (c *envCheck) patterns() {
	var unsure []string
	for _, p := range c.matching {
		value, where, known := c.env.block[p.key], c.env.path.Attr(p.key), true
		if made, ok := c.env.made[p.key]; ok {
			value, where, known = made.value, made.path, made.known
		}
		switch {
		case c.env.mayMake(p.key):
			unsure = append(unsure, p.key)
		case known && value == "":
		case !known, strings.Contains(value, "${"):
			c.found = append(c.found, doubt("env.matching", p.key, where,
				fmt.Sprintf("cannot tell whether %s matches %s: its value is made at run time", p.key, p.re)))
		case !p.re.MatchString(value):
			c.add("env.matching", p.key, where, fmt.Sprintf("%s is %s, which does not match %s", p.key, show(p.key, value), p.re))
		}
	}
	c.doubts("env.matching", unsure, "whether %s matches")
}

// doubts are about keys that a template may make at run time.
func (c *envCheck) doubts(rule string, keys []string, what string) {
	if len(keys) == 0 {
		return
	}
	names := strings.Join(keys, ", ")
	where := c.env.any
	if where == nil {
		where = c.env.may[keys[0]]
	}
	c.found = append(c.found, doubt(rule, "", where,
		"cannot tell "+fmt.Sprintf(what, names)+": this template makes keys at run time"))
}

// show is a value for a message.
func show(key, value string) string {
	if job.IsSecretName(key) {
		return job.Redacted
	}
	return strconv.Quote(job.RedactText(value))
}

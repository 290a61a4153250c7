package policies

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// policy is one policy block.
type policy struct {
	terms
	name, description, why string
	index                  int // among all policies
	match                  match
	invariants             []invariant // asked about each selected task
	rules                  []rule
	exceptions             []exception
	params                 map[string]cty.Value
	at                     hcl.Range
	infos                  []RuleInfo
}

var policySchema = func() *hcl.BodySchema {
	s := schemaOf([]string{"description", "why", "enforce", "fix"}, "match", "sudo", "env", "exception")
	s.Blocks = append(s.Blocks, hcl.BlockHeaderSchema{Type: "rule", LabelNames: []string{"name"}})
	return s
}()

func (d *decoder) policy(b *hcl.Block) policy {
	content := d.content(b.Body, policySchema)
	p := policy{
		name: b.Labels[0], at: b.DefRange, description: d.text(content.Attributes["description"]),
		why: d.text(content.Attributes["why"]), params: d.params,
		terms: d.terms(content.Attributes, terms{enforce: Deny}),
		match: d.match(d.single(content, "match"), append(jobFilters[:len(jobFilters):len(jobFilters)], taskFilters...)),
	}
	if b := d.single(content, "sudo"); b != nil {
		sudo := d.sudo(b, p.terms)
		p.invariants = append(p.invariants, sudo)
		p.infos = append(p.infos, ruleInfos(sudoRules, sudo.terms, b)...)
	}
	if b := d.single(content, "env"); b != nil {
		env := d.env(b, p.terms)
		p.invariants = append(p.invariants, env)
		p.infos = append(p.infos, ruleInfos(env.demands(), env.terms, b)...)
	}
	for _, b := range content.Blocks.OfType("rule") {
		r := d.rule(b, p.terms)
		if slices.Contains(p.ids(), r.id) {
			d.fail(b.LabelRanges[0], "Duplicate rule", "The policy has a rule %q already. Rename one of them.", b.Labels[0])
		}
		p.rules, p.infos = append(p.rules, r), append(p.infos, r.info())
	}
	for _, b := range slices.Concat(content.Blocks.OfType("exception"), d.source.Exceptions) {
		p.exceptions = append(p.exceptions, d.exception(b, p.name, p.ids()))
	}
	if len(p.infos) == 0 && !d.diags.HasErrors() {
		d.diags = append(d.diags, &hcl.Diagnostic{
			Severity: hcl.DiagWarning, Summary: "Policy demands nothing", Subject: &p.at,
			Detail: "Give it a rule, a sudo or an env block, or remove it.",
		})
	}
	return p
}

// builtIn says what the rules of sudo and env blocks want, and whether a finding
// can be mended.
var builtIn = map[string]struct {
	about string
	fix   bool
}{
	"sudo.preserve_env": {"sudo is not asked to preserve the caller's environment", true},
	"sudo.cannot_tell":  {"what sudo is asked can be told before run time; only a warning", false},
	"env.block":         {"the task has an env block", true},
	"env.required":      {"the required keys are set", false},
	"env.defaults":      {"keys with a default are set", true},
	"env.values":        {"keys have the values that they must have", true},
	"env.forbidden":     {"no forbidden key is set", true},
	"env.matching":      {"values match their patterns", false},
}

// ruleInfos are those of a block whose rules are built in.
func ruleInfos(ids []string, t terms, b *hcl.Block) []RuleInfo {
	out := make([]RuleInfo, len(ids))
	for i, id := range ids {
		out[i] = RuleInfo{
			ID: id, Description: builtIn[id].about, Scope: taskScope, Enforce: t.enforce, Fix: t.fix && builtIn[id].fix, Range: b.DefRange,
		}
		if strings.HasSuffix(id, "cannot_tell") {
			out[i].Enforce = Warn
		}
	}
	return out
}

func (p *policy) ids() []string {
	out := make([]string, len(p.infos))
	for i, r := range p.infos {
		out[i] = r.ID
	}
	return out
}

func (p *policy) info() Info {
	return Info{
		Name: p.name, Description: p.description, Why: p.why, Enforce: p.enforce, Fix: p.fix, Range: p.at, Rules: p.infos,
	}
}

// check asks the policy about what it selects of a job: its rules about the job,
// the groups and the tasks, its other blocks about the tasks.
func (p *policy) check(side Side, s *scope) (out []finding, selected bool, diags hcl.Diagnostics) {
	if selected, diags = p.match.selectsJob(s); !selected {
		return nil, false, diags
	}
	whole := place{scope: s, params: p.params, group: -1, slot: -1}
	ask := func(at place, scope string) {
		found, more := p.ask(at, scope)
		diags = append(diags, more...)
		for _, f := range found {
			f.Policy, f.Side, f.task, f.rank = p.name, side, at.path, [3]int{p.index, at.group, at.slot}
			out = append(out, f)
		}
	}
	selected = false
	tasks := s.allTasks()
	inGroup := whole
	for i := range tasks {
		t := &tasks[i]
		if !p.match.selectsTask(t.Task) {
			continue
		}
		if !selected {
			ask(whole, jobScope)
		}
		if !selected || inGroup.group != t.group {
			inGroup.group, inGroup.path = t.group, t.path[:1:1]
			ask(inGroup, groupScope)
		}
		selected = true
		at := inGroup
		at.slot, at.task, at.path = t.slot, t, t.path
		ask(at, taskScope)
	}
	return out, selected, diags
}

// ask asks what the policy has to say in one scope.
func (p *policy) ask(at place, scope string) ([]finding, hcl.Diagnostics) {
	var out []finding
	var diags hcl.Diagnostics
	if scope == taskScope {
		for _, inv := range p.invariants {
			found, more := inv.check(at)
			out, diags = append(out, found...), append(diags, more...)
		}
	}
	for i := range p.rules {
		if p.rules[i].scope == scope {
			found, more := p.rules[i].check(at)
			out, diags = append(out, found...), append(diags, more...)
		}
	}
	if len(out) == 0 || len(p.exceptions) == 0 {
		return out, diags
	}
	out, more := p.waive(at, out)
	return out, append(diags, more...)
}

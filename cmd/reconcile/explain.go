package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/config"
	"nomad-reconcile/policies"
	"nomad-reconcile/policies/library"
	"nomad-reconcile/reconcile/policytest"
)

func runExplain(in *invocation) int {
	var configFile string
	declareConfig(in.flags, &configFile)
	code, ok := in.parse("[NAME[/RULE]]", `
		Shows what a policy of the configuration or the library demands, and why: its
		variables and rules, an example that breaks it and one that holds, how to use it and
		how to make an exception. Without NAME it lists all policies.`)
	if !ok {
		return code
	}
	if len(in.args) > 1 {
		return in.misuse("explain takes one policy.")
	}
	all, err := in.explanations(configFile)
	if err != nil {
		return in.refuse(err)
	}
	if len(in.args) == 0 {
		report.PolicyList(in.stdout, all, in.out)
		return exitOK
	}
	return in.explain(all, in.args[0])
}

// explain shows the policy, and of its rules those that are asked for.
func (in *invocation) explain(all []report.Explanation, asked string) int {
	names := make([]string, len(all))
	for i, e := range all {
		names[i] = e.Name
	}
	i, name, rule := slices.Index(names, asked), asked, ""
	if i < 0 {
		name, rule, _ = strings.Cut(asked, "/")
		i = slices.Index(names, name)
	}
	if i < 0 {
		return in.fail(fmt.Errorf("there is no policy %q; did you mean %q? `reconcile explain` lists all", name, nearest(name, names)))
	}
	rules := all[i].Rules
	if rule != "" {
		rules = slices.DeleteFunc(slices.Clone(rules), func(r policies.RuleInfo) bool { return r.ID != rule && r.ID != "rule."+rule })
	}
	if len(rules) == 0 && rule != "" {
		return in.fail(fmt.Errorf("the policy %q has no rule %q; it has %s", name, rule, strings.Join(ruleIDs(all[i].Rules), ", ")))
	}
	if diags := examples(&all[i]); in.mistakes(diags, nil) != exitOK {
		return exitError
	}
	report.Explain(in.stdout, all[i], rules, in.out)
	return exitOK
}

func ruleIDs(rules []policies.RuleInfo) []string {
	ids := make([]string, len(rules))
	for i, r := range rules {
		ids[i] = r.ID
	}
	return ids
}

// explanations are the configuration's policies, if there is one, and those of the
// library that it does not use.
func (in *invocation) explanations(configFile string) ([]report.Explanation, error) {
	var all []report.Explanation
	if _, err := os.Stat(configFile); err == nil || configFile != defaultConfig || !errors.Is(err, fs.ErrNotExist) {
		p, err := in.load(wants{config: configFile})
		if err != nil {
			return nil, err
		}
		all = explained(p.policies, true)
	}
	var unused []config.Library
	for _, name := range library.Names() {
		if !slices.ContainsFunc(all, func(e report.Explanation) bool { return e.Name == name }) {
			unused = append(unused, config.Library{Name: name})
		}
	}
	sources, _ := fromLibrary(unused) // which has all its names
	set, diags := policies.Load(sources, policies.Options{Now: in.now()})
	if in.mistakes(diags, nil) != exitOK {
		return nil, errShown
	}
	return append(all, explained(set, false)...), nil
}

func explained(set *policies.Set, use bool) []report.Explanation {
	var out []report.Explanation
	for _, info := range set.Policies() {
		e := report.Explanation{Info: info, Use: use, File: info.Range.Filename, Library: info.Range.Filename == library.File(info.Name)}
		for _, v := range set.Variables() {
			if v.Range.Filename == e.File {
				e.Variables = append(e.Variables, v)
			}
		}
		out = append(out, e)
	}
	return out
}

// examples are those of the tests beside the policy, if there are any.
func examples(e *report.Explanation) (diags hcl.Diagnostics) {
	var files fs.FS = diskFS{}
	name := strings.TrimSuffix(e.File, ".policy.hcl") + policytest.Suffix
	if e.Library {
		files, name = library.Files(), library.Tests(e.Name)
	}
	if _, err := fs.Stat(files, name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	e.Breaks, e.Holds, diags = policytest.Examples(files, name)
	return diags
}

package policies_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
)

// ruleJob has a docker task with a memory limit, two templates and a service.
func ruleJob() *api.Job {
	j := newJob("web", &api.Task{
		Name: "app", Driver: "docker",
		Config:    map[string]any{"image": "nginx:latest", "privileged": true, "args": []any{"-b", "-b", "c"}},
		Env:       map[string]string{"A": "1", "B": "2"},
		Resources: &api.Resources{MemoryMB: new(8192)},
		Templates: []*api.Template{{DestPath: new("local/a")}, {DestPath: new("/etc/b"), ChangeMode: new("noop")}},
	})
	j.TaskGroups[0].Count = new(1)
	j.TaskGroups[0].Services = []*api.Service{{Name: "web", PortLabel: "http"}}
	j.TaskGroups[0].Networks = []*api.NetworkResource{{DynamicPorts: []api.Port{{Label: "http"}}}}
	return j
}

func TestRules(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string // of policy "p" with fix = true
		want []string
	}{
		"task rule points at what it looks at": {`
			rule "pinned" {
			  when    = task.driver == "docker"
			  assert  = !endswith(task.config.image, ":latest")
			  message = "task ${task.name} runs ${task.config.image}"
			}`, []string{`rule.pinned (deny) task["app"].config.image: task app runs nginx:latest`}},
		"fix": {`
			rule "memory" {
			  enforce = "warn"
			  assert  = task.resources.memory <= 4096
			  fix {
			    path  = task.resources.memory
			    value = 4096
			  }
			}`, []string{
			`rule.memory (warn, fixable) task["app"].resources.memory: does not hold: task.resources.memory <= 4096`,
			`  set task["app"].resources.memory = 4096`}},
		"null removes": {`
			rule "privileged" {
			  assert = !try(task.config.privileged, false)
			  fix {
			    path  = task.config.privileged
			    value = null
			  }
			}`, []string{
			`rule.privileged (deny, fixable) task["app"].config.privileged: does not hold: !try(task.config.privileged, false)`,
			`  remove task["app"].config.privileged`}},
		"several edits": {`
			rule "group" {
			  scope  = "group"
			  assert = group.count >= 2 && try(group.meta.owner, "") != ""
			  fix {
			    path  = group.count
			    value = 2
			  }
			  fix {
			    path  = group.meta.owner
			    value = job.id
			  }
			}`, []string{
			`rule.group (deny, fixable) count: does not hold: group.count >= 2 && try(group.meta.owner, "") != ""`,
			`  set count = 2`, `  set meta.owner = "web"`}},
		"job rule": {`
			rule "priority" {
			  scope  = "job"
			  assert = job.priority >= 60
			}`, []string{`rule.priority (deny) : does not hold: job.priority >= 60`}},
		"live is null": {`
			rule "known" {
			  scope  = "job"
			  assert = live != null
			}`, []string{`rule.known (deny) : does not hold: live != null`}},
		"for_each over blocks": {`
			rule "local" {
			  for_each = task.template
			  assert   = startswith(each.value.destination, "local/")
			  message  = "template ${each.key} writes ${each.value.destination}"
			  fix {
			    path  = each.value.destination
			    value = "local/b"
			  }
			}`, []string{
			`rule.local (deny, fixable) task["app"].template[1].destination: template 1 writes /etc/b`,
			`  set task["app"].template[1].destination = "local/b"`}},
		"for_each over labels": {`
			rule "static" {
			  scope    = "group"
			  for_each = group.network[0].port
			  assert   = each.key != "http"
			}`, []string{`rule.static (deny) network[0].port["http"]: does not hold: each.key != "http"`}},
		"for_each over keys": {`
			rule "upper" {
			  for_each = task.env
			  assert   = each.key != "A"
			  fix {
			    path  = task.env[each.key]
			    value = null
			  }
			}`, []string{`rule.upper (deny, fixable) task["app"].env.A: does not hold: each.key != "A"`, `  remove task["app"].env.A "1"`}},
		"adjacent elements are removed": {`
			rule "args" {
			  for_each = task.config.args
			  assert   = each.value != "-b"
			  fix {
			    path  = each.value
			    value = null
			  }
			}`, []string{
			`rule.args (deny, fixable) task["app"].config.args[0]: does not hold: each.value != "-b"`, `  remove task["app"].config.args[0] "-b"`,
			`rule.args (deny, fixable) task["app"].config.args[1]: does not hold: each.value != "-b"`, `  remove task["app"].config.args[1] "-b"`}},
		"for_each over nothing": {`
			rule "none" {
			  for_each = task.artifact
			  assert   = false
			}`, nil},
		"when may be false": {`
			rule "other" {
			  when   = task.driver == "java"
			  assert = task.config.nothing.there
			}`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := load(t, "policy \"p\" {\n fix = true\n"+test.body+"\n}\n")
			if diff := cmp.Diff(test.want, lines(check(t, s, ruleJob()).Findings)); diff != "" {
				t.Error("-want +got\n" + diff)
			}
		})
	}
}

func TestRuleMistakesOfThePolicy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ rule, want string }{
		"not there":        {`assert = task.config.nothing == 1`, "Unsupported attribute"},
		"null":             {`assert = task.lifecycle`, "Wrong type"},
		"not a bool":       {`assert = task.name`, "Wrong type"},
		"useless fix":      {"assert = task.driver == \"exec\"\nfix {\npath = task.user\nvalue = \"x\"\n}", "The fix does not make its own assert hold"},
		"fix into nothing": {"assert = task.driver == \"exec\"\nfix {\npath = task.template[7].destination\nvalue = \"x\"\n}", "The fix points nowhere"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := load(t, "policy \"p\" {\nrule \"r\" {\n"+test.rule+"\n}\n}\n")
			_, diags := s.Check(policies.FileSide, ruleJob(), nil)
			if !diags.HasErrors() || !strings.Contains(diags.Error(), test.want) {
				t.Errorf("want %q, got %s", test.want, diags)
			}
			for _, d := range diags {
				if d.Subject == nil || d.Subject.Filename != "test.policy.hcl" {
					t.Errorf("no place: %s", d)
				}
			}
		})
	}
}

func TestExceptions(t *testing.T) {
	t.Parallel()
	src := `
		policy "p" {
		  fix = true
		  rule "memory" {
		    assert = task.resources.memory <= 4096
		    fix {
		      path  = task.resources.memory
		      value = 4096
		    }
		  }
		  rule "pinned" {
		    assert = !endswith(task.config.image, ":latest")
		  }
		  exception {
		    job     = ["we*"]
		    rule    = ["memory"]
		    reason  = "grows until spring"
		    expires = "2026-12-31"
		  }
		}`
	at := func(day string) []string {
		now, err := time.Parse(time.DateTime, day)
		if err != nil {
			t.Fatal(err)
		}
		s, diags := policies.Load([]policies.Source{{Name: "p", Bytes: []byte(src)}}, policies.Options{Now: now})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		v := check(t, s, ruleJob())
		var out []string
		for _, f := range v.Findings {
			line := f.Rule
			if f.Exception != nil {
				line += " waived: " + f.Exception.Reason
			}
			if f.Fixable() {
				line += " fixable"
			}
			if f.Denied() {
				line += " denied"
			}
			out = append(out, line)
		}
		return append(out, edits(v)...)
	}
	if diff := cmp.Diff([]string{"rule.memory waived: grows until spring", "rule.pinned denied"}, at("2026-12-31 23:59:59")); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	want := []string{"rule.memory fixable", "rule.pinned denied", "exception.expired", `set task["app"].resources.memory = 4096`}
	if diff := cmp.Diff(want, at("2027-01-01 00:00:00")); diff != "" {
		t.Error("-want +got\n" + diff)
	}
}

// What stands outside of the policy's file wins, and is part of the revision.
func TestSharedSource(t *testing.T) {
	t.Parallel()
	src := []byte("variable \"max\" {\n  type    = number\n  default = 1\n}\npolicy \"p\" {\n  rule \"memory\" {\n    description = \"small\"\n    when        = task.driver == \"docker\"\n    assert      = task.resources.memory <= var.max\n    message     = \"too much\"\n  }\n}\n")
	outside := func(text string) hcl.Blocks {
		file, diags := hclsyntax.ParseConfig([]byte(text), "reconcile.hcl", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		content, _ := file.Body.Content(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: "exception"}}})
		return content.Blocks
	}
	revisions := map[string]bool{}
	ask := func(s policies.Source) (*policies.Set, hcl.Diagnostics) {
		s.Name, s.Bytes = "p", src
		set, diags := policies.Load([]policies.Source{s}, policies.Options{})
		if set != nil {
			revisions[set.Revision()] = true
		}
		return set, diags
	}
	set, _ := ask(policies.Source{})
	want := []policies.RuleInfo{{
		ID: "rule.memory", Description: "small", Scope: "task", Enforce: policies.Deny,
		When: `task.driver == "docker"`, Assert: "task.resources.memory <= var.max", Message: `"too much"`,
	}}
	if diff := cmp.Diff(want, set.Policies()[0].Rules, cmpopts.IgnoreFields(policies.RuleInfo{}, "Range")); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	for _, reason := range []string{"a", "b"} {
		set, diags := ask(policies.Source{Enforce: policies.Warn, Exceptions: outside("exception {\nreason = \"" + reason + "\"\nexpires = \"2099-01-01\"\n}\n")})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		if f := check(t, set, ruleJob()).Findings; len(f) != 1 || f[0].Enforce != policies.Warn || f[0].Exception == nil || f[0].Exception.Reason != reason {
			t.Errorf("findings %+v", f)
		}
	}
	if len(revisions) != 3 {
		t.Errorf("%d revisions of three sets", len(revisions))
	}
	_, diags := ask(policies.Source{Exceptions: outside("exception {\nrule = [\"memori\"]\nreason = \"a\"\nexpires = \"2099-01-01\"\n}\n")})
	if !strings.Contains(diags.Error(), `Did you mean "memory"?`) {
		t.Errorf("diagnostics %s", diags)
	}
}

// Expressions see only what they ask for; that must make no difference.
func TestNarrowing(t *testing.T) {
	t.Parallel()
	sources := libraryPolicies(t)
	for _, a := range acceptance {
		sources = append(sources, a.policy)
	}
	examples, _ := readmeExamples(t)
	sources = append(append(sources, examples...), fiftyPolicies(), `policy "ways to ask" {
  rule "labels" {
    scope  = "job"
    assert = can(job.group.main.count) && alltrue([for g in job.group : g.count > 1]) && try(job.group["main"].network[0].mode, "") == "x"
  }
  rule "whole and part" {
    for_each = group.service
    assert   = length(keys(each)) == 2 && can(each.value["port"]) && try(each.value.check[0].type, "") == try(group.service[each.key].check[0].type, "x")
  }
  rule "whole" {
    for_each = task.artifact
    assert   = strlen(jsonencode(each.value)) == 0
    message  = jsonencode(each)
  }
  rule "key alone" {
    for_each = task.template
    assert   = each.key < 0
  }
  rule "labelled" {
    scope    = "group"
    for_each = group.task
    assert   = each.value.resources.memory == group.task[each.key].resources.cpu && each.value.name != each.key
  }
  rule "ports" {
    scope    = "group"
    for_each = group.network
    assert   = length(keys(each.value.port)) > 7 || try(live.group["main"].network[0].port["http"].static, 0) > 0
  }
  rule "splat" {
    assert = length(task.template[*].destination) > 3 && jsonencode(task.resources) == task.resources.memory
  }
}
`)
	files, jobs := parsedFiles(t, 60)
	for i, src := range sources {
		set, diags := policies.Load([]policies.Source{{Name: "p", Bytes: []byte(src)}}, policies.Options{Gates: kinds})
		if diags.HasErrors() {
			t.Fatal(texts(diags))
		}
		whole := set.Unnarrowed()
		for n, f := range files {
			live := jobs[files[len(files)-1-n].Name]
			want, wrong := whole.Check(policies.FileSide, jobs[f.Name], live)
			got, diags := set.Check(policies.FileSide, jobs[f.Name], live)
			if diff := cmp.Diff(lines(want.Findings), lines(got.Findings)); diff != "" {
				t.Fatalf("source %d, %s (-whole +narrowed):\n%s", i, f.Name, diff)
			}
			if diff := cmp.Diff(texts(wrong), texts(diags)); diff != "" || diags.HasErrors() {
				t.Fatalf("source %d, %s: %v (-whole +narrowed):\n%s", i, f.Name, diags, diff)
			}
		}
	}
}

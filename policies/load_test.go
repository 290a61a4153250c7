package policies_test

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/config"
	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/jobspec/jobspectest"
)

// mistakes are typical ones, each with the whole of what is said about it.
var mistakes = []struct {
	name, src string
	want      []string
}{
	{
		"unknown block",
		`polcy "p" {
}`,
		[]string{
			`p.hcl:1,1-6: Unsupported block type; Blocks of type "polcy" are not expected here. Did you mean "policy"?`,
		},
	},
	{
		"a rule without an assert",
		`policy "p" {
  rule "r" {
  }
}`,
		[]string{
			`p.hcl:2,3-11: Nothing to hold; A rule needs an assert: an expression that is true of what is right.`,
		},
	},
	{
		"unknown attribute",
		`policy "p" {
  enfroce = "warn"
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,3-10: Unsupported argument; An argument named "enfroce" is not expected here. Did you mean "enforce"?`,
		},
	},
	{
		"unknown value",
		`policy "p" {
  enforce = "wran"
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,13-19: Unknown value; enforce is "deny" or "warn", not "wran". Did you mean "warn"?`,
		},
	},
	{
		"wrong type",
		`policy "p" {
  fix = "yes"
  description = [1]
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,9-14: Wrong type; fix must be true or false, not a string.`,
			`p.hcl:3,17-20: Wrong type; description must be a string, not a list.`,
		},
	},
	{
		"null",
		`policy "p" {
  fix = null
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,9-13: Wrong type; fix must be true or false, not null.`,
		},
	},
	{
		"no label",
		`policy {
}`,
		[]string{
			`p.hcl:1,8-9: Missing name for policy; All policy blocks must have 1 labels (name).`,
		},
	},
	{
		"empty name",
		`policy "" {
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:1,8-10: Missing name; A policy needs a name: findings and messages refer to it.`,
		},
	},
	{
		"two of one name",
		`policy "p" {
  env {
  }
}
policy "p" {
  env {
  }
}
rollout "p" {
}
rollout "p" {
}`,
		[]string{
			`p.hcl:1,1-11: warning: Policy demands nothing; Give it a rule, a sudo or an env block, or remove it.`,
			`p.hcl:5,8-11: Duplicate policy; There is a policy "p" at p.hcl:1 already. Rename one of them.`,
			`p.hcl:11,9-12: Duplicate rollout; There is a rollout "p" at p.hcl:9 already. Rename one of them.`,
		},
	},
	{
		"demands nothing",
		`policy "p" {
}`,
		[]string{
			`p.hcl:1,1-11: warning: Policy demands nothing; Give it a rule, a sudo or an env block, or remove it.`,
		},
	},
	{
		"two blocks",
		`policy "p" {
  env {
  }
  env {
  }
}`,
		[]string{
			`p.hcl:4,3-6: Duplicate env block; There may be one env block here; the first is on line 2. Put both into one, or write a second policy.`,
		},
	},
	{
		"sudo says nothing",
		`policy "p" {
  sudo {
  }
}`,
		[]string{
			`p.hcl:2,3-7: Nothing to hold; A sudo block needs preserve_env = false.`,
		},
	},
	{
		"sudo allows",
		`policy "p" {
  sudo {
    preserve_env = true
  }
}`,
		[]string{
			`p.hcl:3,20-24: Nothing to hold; preserve_env can only be false, which forbids sudo to preserve the environment. To allow it, leave the sudo block out.`,
		},
	},
	{
		"match",
		`policy "p" {
  match {
    jobs = ["a"]
    task = "a"
    driver = []
    type = ["servce"]
    lifecycle = [""]
    meta = { a = null }
    when = jbo.id == upcase("a")
  }
  env {
  }
}`,
		[]string{
			`p.hcl:3,5-9: Unsupported argument; An argument named "jobs" is not expected here. Did you mean "job"?`,
			`p.hcl:4,12-15: Wrong type; task must be a list of strings such as ["a", "b"], not a string.`,
			`p.hcl:5,14-16: Empty list; driver with nothing in it matches nothing. Leave it out, or name something.`,
			`p.hcl:6,12-22: Unknown value; type is "service" or "batch" or "system" or "sysbatch", not "servce". Did you mean "service"?`,
			`p.hcl:7,17-21: Empty string in a list; Every element of lifecycle must be a string that is not empty.`,
			`p.hcl:8,12-24: Wrong type; meta must be a map of strings; "a" is null.`,
			`p.hcl:9,12-18: Unknown variable; Expressions here see job, not "jbo". Did you mean "job"?`,
			`p.hcl:9,22-28: Unknown function; Policies have no function "upcase".`,
		},
	},
	{
		"a filter that a constant must be",
		`policy "p" {
  match {
    job = [job.id]
  }
  env {
  }
}`,
		[]string{
			`p.hcl:3,12-18: No variables here; The value must be a constant; "job" is known only when a job is checked.`,
		},
	},
	{
		"functions inside can and try",
		`policy "p" {
  match {
    when = can(nope(1)) || try(matchs("a", "b"), file("x"), nod, false)
  }
  env {
  }
}`,
		[]string{
			`p.hcl:3,16-20: Unknown function; Policies have no function "nope".`,
			`p.hcl:3,32-38: Unknown function; Policies have no function "matchs". Did you mean "matches"?`,
			`p.hcl:3,50-54: Unknown function; Policies have no function "file". They have those of job files without the ones that look at files.`,
			`p.hcl:3,61-64: Unknown variable; Expressions here see job, not "nod". Did you mean "job"?`,
		},
	},
	{
		"runtime interpolation",
		`policy "p" {
  env {
    values = { NODE = "${node.unique.name}" }
  }
}`,
		[]string{
			`p.hcl:3,26-42: Unknown variable; Expressions here see job, group, task, live, not "node". For one of Nomad's runtime interpolations write $${...}.`,
		},
	},
	{
		"env",
		`policy "p" {
  env {
    block = "requird"
    required = ["A B", "A=B"]
    defaults = { A = 1, B = 1, C = 1 }
    values = { B = 1, AWS_X = 1, D = 1, D = 2 }
    forbidden = ["AWS_*", "C"]
    matching = { E = "(", F = 1, G = null }
  }
}`,
		[]string{
			`p.hcl:3,13-22: Unknown value; block is "required", not "requird". Did you mean "required"?`,
			`p.hcl:4,16-30: Not an environment variable; "A=B" cannot be the name of an environment variable.`,
			`p.hcl:5,32-33: Contradiction; "C" stands in defaults, and "C" in forbidden matches it. Leave it in one of them.`,
			`p.hcl:6,16-17: Contradiction; "B" stands in defaults and in values. Leave it in one of them.`,
			`p.hcl:6,23-28: Contradiction; "AWS_X" stands in values, and "AWS_*" in forbidden matches it. Leave it in one of them.`,
			`p.hcl:6,41-42: Duplicate key; values has "D" twice.`,
			"p.hcl:8,22-25: Not a regular expression; missing closing ): `(`. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.",
			`p.hcl:8,38-42: Wrong type; The pattern of "G" must be a string, not null.`,
		},
	},
	{
		"values that a function makes of variables",
		`policy "p" {
  env {
    values    = merge({ A = job.id }, { B = 1 })
    required  = ["C"]
    forbidden = ["C"]
  }
}`,
		[]string{
			`p.hcl:3,29-35: No variables here; The value must be a constant; "job" is known only when a job is checked.`,
			`p.hcl:4,17-22: Contradiction; "C" stands in required, and "C" in forbidden matches it. Leave it in one of them.`,
		},
	},
	{
		"patterns in expressions",
		`policy "p" {
  match {
    when = matches("[", job.id)
  }
  env {
  }
}`,
		[]string{
			"p.hcl:3,20-23: Not a regular expression; missing closing ]: `[`. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.",
		},
	},
	{
		"rollout",
		`rollout "r" {
  strategy = "recreate"
  deadline = "11 minutes"
  on_failure = "rolback"
  match {
    task = ["a"]
  }
}`,
		[]string{
			`p.hcl:2,14-24: Unknown value; strategy is "update" or "restart", not "recreate".`,
			`p.hcl:3,14-26: Not a duration; deadline must be a time above zero such as "90s" or "11m", not "11 minutes".`,
			`p.hcl:4,16-25: Unknown value; on_failure is "rollback" or "keep", not "rolback". Did you mean "rollback"?`,
			`p.hcl:6,5-9: Unsupported argument; An argument named "task" is not expected here.`,
		},
	},
	{
		"ignore",
		`rollout "a" {
  ignore = "meta"
}
rollout "b" {
  ignore = [group["web"].cuont, group["web"].update, nothing.at.all, group["web"].task["t"].config.args[0], group["w"].network[0].port["*"].to, "meta.x", group["*"].task["*"].env, meta.build]
}`,
		[]string{
			"p.hcl:2,12-18: Wrong type; ignore is a list of places such as group[\"web\"].count or meta.build.",
			`p.hcl:5,25-31: Unknown attribute; Job files have no "cuont" in group. Did you mean "count"?`,
			`p.hcl:5,33-52: Not a place; group["web"].update is a block: name what in it is to be ignored.`,
			`p.hcl:5,54-61: Unknown attribute; Job files have no "nothing" in job.`,
			"p.hcl:5,70-107: Not a place; ignore names whole lists, not the elements of one.",
			"p.hcl:5,109-143: Not a place; ignore names whole lists, not the elements of one.",
			"p.hcl:5,145-153: Not a place; A place is written like group[\"web\"].count or group[\"*\"].task[\"*\"].config.image.",
		},
	},
	{
		"no time",
		`rollout "r" {
  deadline = "0s"
}`,
		[]string{
			`p.hcl:2,14-18: Not a duration; deadline must be a time above zero such as "90s" or "11m", not "0s".`,
		},
	},
	{
		"gates",
		`rollout "r" {
  gate "log" "a" {
  }
  gate "deployment" "b" {
  }
  gate "logs" "c" {
    when = "befor"
    tsk = "x"
  }
  gate "logs" "c" {
  }
}`,
		[]string{
			`p.hcl:2,8-13: Unknown kind of gate; There is no gate "log"; there is: logs. Did you mean "logs"?`,
			`p.hcl:4,8-20: Unknown kind of gate; The deployment gate is always on and has no block. Remove it.`,
			`p.hcl:7,12-19: Unknown value; when is "after" or "before", not "befor". Did you mean "before"?`,
			`p.hcl:8,5-8: Unsupported argument; An argument named "tsk" is not expected here. Did you mean "task"?`,
			`p.hcl:10,3-18: Duplicate gate; There is a gate "logs" "c" on line 6 already. Give this one another name.`,
		},
	},
	{
		"rule: words",
		`policy "p" {
  rule "r" {
    asert = true
    mesage = "x"
    scop = "job"
    fxi {
    }
    fix {
      pth = job.priority
      value = 1
      enforce = "warn"
    }
  }
}`,
		[]string{
			`p.hcl:2,3-11: Nothing to hold; A rule needs an assert: an expression that is true of what is right.`,
			`p.hcl:3,5-10: Unsupported argument; An argument named "asert" is not expected here. Did you mean "assert"?`,
			`p.hcl:4,5-11: Unsupported argument; An argument named "mesage" is not expected here. Did you mean "message"?`,
			`p.hcl:5,5-9: Unsupported argument; An argument named "scop" is not expected here. Did you mean "scope"?`,
			`p.hcl:6,5-8: Unsupported block type; Blocks of type "fxi" are not expected here. Did you mean "fix"?`,
			`p.hcl:8,9-9: Missing required argument; The argument "path" is required, but no definition was found.`,
			`p.hcl:9,7-10: Unsupported argument; An argument named "pth" is not expected here. Did you mean "path"?`,
			`p.hcl:11,7-14: Unsupported argument; An argument named "enforce" is not expected here.`,
		},
	},
	{
		"rule: values",
		`policy "p" {
  rule "r" {
    scope = "tasks"
    enforce = "denied"
    description = 1
    assert = "yes"
    when = 3
    message = [1]
    fix = true
  }
  rule {
    assert = true
  }
  rule "" {
    assert = true
  }
}`,
		[]string{
			`p.hcl:3,13-20: Unknown value; scope is "task" or "group" or "job", not "tasks". Did you mean "task"?`,
			`p.hcl:4,15-23: Unknown value; enforce is "deny" or "warn", not "denied".`,
			`p.hcl:6,14-19: Wrong type; assert must be a bool, not a string.`,
			`p.hcl:7,12-13: Wrong type; when must be a bool, not a number.`,
			`p.hcl:8,15-18: Wrong type; message must be a string, not a list.`,
			`p.hcl:9,5-8: Unsupported argument; An argument named "fix" is not expected here. Did you mean to define a block of type "fix"?`,
			`p.hcl:11,8-9: Missing name for rule; All rule blocks must have 1 labels (name).`,
			`p.hcl:14,8-10: Missing name; A rule needs a name: findings and exceptions refer to it.`,
		},
	},
	{
		"exception: words, and two rules of one name",
		`policy "p" {
  rule "r" {
    assert = true
  }
  rule "r" {
    assert = true
  }
  exception {
    resaon = "x"
    expire = "2027-01-01"
    jbo = ["a"]
    until {
    }
  }
}`,
		[]string{
			`p.hcl:5,8-11: Duplicate rule; The policy has a rule "r" already. Rename one of them.`,
			`p.hcl:8,3-12: Missing reason; An exception needs a reason: whoever reads it later must know why it is there.`,
			`p.hcl:8,3-12: Missing expiry; An exception needs the day on which it ends: expires = "2027-03-31".`,
			`p.hcl:9,5-11: Unsupported argument; An argument named "resaon" is not expected here. Did you mean "reason"?`,
			`p.hcl:10,5-11: Unsupported argument; An argument named "expire" is not expected here. Did you mean "expires"?`,
			`p.hcl:11,5-8: Unsupported argument; An argument named "jbo" is not expected here. Did you mean "job"?`,
			`p.hcl:12,5-10: Unsupported block type; Blocks of type "until" are not expected here.`,
		},
	},
	{
		"exception: values",
		`policy "p" {
  rule "r" {
    assert = true
  }
  exception {
  }
  exception {
    reason = " "
    expires = "2027-02-30"
    rule = ["q", "rule.rr", "env.*"]
  }
  exception {
    reason = 1
    expires = 2027
    rule = "r"
    job = []
    when = task.name == "x"
  }
}`,
		[]string{
			`p.hcl:5,3-12: Missing reason; An exception needs a reason: whoever reads it later must know why it is there.`,
			`p.hcl:5,3-12: Missing expiry; An exception needs the day on which it ends: expires = "2027-03-31".`,
			`p.hcl:7,3-12: Missing reason; An exception needs a reason: whoever reads it later must know why it is there.`,
			`p.hcl:9,15-27: Not a date; expires must be a day such as "2027-03-31", not "2027-02-30".`,
			`p.hcl:10,12-37: Unknown rule; The policy "p" has no rule that "q" matches; it has rule.r. Did you mean "r"?`,
			`p.hcl:10,12-37: Unknown rule; The policy "p" has no rule that "rule.rr" matches; it has rule.r. Did you mean "rule.r"?`,
			`p.hcl:10,12-37: Unknown rule; The policy "p" has no rule that "env.*" matches; it has rule.r.`,
			`p.hcl:14,15-19: Not a date; expires must be a day such as "2027-03-31", not "2027".`,
			`p.hcl:15,12-15: Wrong type; rule must be a list of strings such as ["a", "b"], not a string.`,
			`p.hcl:16,11-13: Empty list; job with nothing in it matches nothing. Leave it out, or name something.`,
			`p.hcl:17,12-21: Unknown variable; Expressions here see job, not "task".`,
		},
	},
	{
		"variables",
		`variable "a" {
  tpye = string
  defualt = 1
  validaton {
  }
}
variable "b" {
  default = 1
  validation {
    conditon = true
  }
}
variable "c" {
  type = strnig
  default = 1
}
variable "d" {
  type = number
  default = "x"
}
variable "e" {
  type = list(string)
  default = job.id
  description = 1
}
variable "f" {
  default = 1
  validation {
    condition = "maybe"
    error_message = 3
  }
  validation {
    condition = var.f > 1
    error_message = "f must be above 1."
  }
  validation {
    condition = var.a == var.f
    error_message = "x"
  }
}
variable "f" {
}
variable "g" {
}
variable {
}
variable "" {
  default = 1
}
variable "a b" {
  default = 1
}
locals "x" {
}`,
		[]string{
			"p.hcl:1,1-13: Unset variable; Give \"a\" a value in reconcile.hcl, `policy_vars = { a = ... }`, or a default here.",
			`p.hcl:2,3-7: Unsupported argument; An argument named "tpye" is not expected here. Did you mean "type"?`,
			`p.hcl:3,3-10: Unsupported argument; An argument named "defualt" is not expected here. Did you mean "default"?`,
			`p.hcl:4,3-12: Unsupported block type; Blocks of type "validaton" are not expected here. Did you mean "validation"?`,
			`p.hcl:9,14-14: Missing required argument; The argument "condition" is required, but no definition was found.`,
			`p.hcl:9,14-14: Missing required argument; The argument "error_message" is required, but no definition was found.`,
			`p.hcl:10,5-13: Unsupported argument; An argument named "conditon" is not expected here. Did you mean "condition"?`,
			`p.hcl:14,10-16: Invalid type specification; The keyword "strnig" is not a valid type specification.`,
			`p.hcl:19,13-16: Wrong type; The default is not number: a number is required.`,
			`p.hcl:23,13-19: No variables here; The value must be a constant; "job" is known only when a job is checked.`,
			`p.hcl:29,17-24: Wrong type; condition must be true or false, not a string.`,
			`p.hcl:33,17-26: Invalid value for a variable; "f": f must be above 1.`,
			`p.hcl:37,17-22: Another variable; A condition sees its own variable alone, var.f.`,
			`p.hcl:41,10-13: Duplicate variable; This file declares the variable "f" already. Remove one of the two.`,
			"p.hcl:43,1-13: Unset variable; Give \"g\" a value in reconcile.hcl, `policy_vars = { g = ... }`, or a default here.",
			`p.hcl:45,10-11: Missing name for variable; All variable blocks must have 1 labels (name).`,
			`p.hcl:47,10-12: Not a name; A variable is referred to as var.NAME: letters, digits, _ and -, not "".`,
			`p.hcl:50,10-15: Not a name; A variable is referred to as var.NAME: letters, digits, _ and -, not "a b".`,
			`p.hcl:53,8-11: Extraneous label for locals; No labels are expected for locals blocks.`,
		},
	},
	{
		"locals",
		`locals {
  a = local.b
  b = [local.c]
  d = local.d
  e = local.a
  f = local.nope
  g = var.nope
  h = job.id
  i = nope(1)
  j = 1 + "x"
  k = local.f
}
locals {
  c = { x = local.a }
  e = 1
}
policy "p" {
  rule "r" {
    assert = local.a == local.f && local.e == local.k
  }
}`,
		[]string{
			`p.hcl:2,3-4: Circular locals; The local "a" needs itself: a -> b -> c -> a.`,
			`p.hcl:4,3-4: Circular locals; The local "d" needs itself: d -> d.`,
			`p.hcl:6,7-17: Undefined local; This file has no local "nope".`,
			`p.hcl:7,7-15: Undefined variable; This file has no variable "nope".`,
			`p.hcl:8,7-13: No variables here; The value must be a constant; "job" is known only when a job is checked.`,
			`p.hcl:9,7-11: Unknown function; Policies have no function "nope".`,
			`p.hcl:10,11-14: Invalid operand; Unsuitable value for right operand: a number is required.`,
			`p.hcl:15,3-4: Duplicate local; The local "e" is on line 5 already.`,
		},
	},
	{
		"parameters in expressions, also in can and try",
		`variable "image_tag" {
  default = "x"
}
locals {
  teams = 1
}
policy "p" {
  enforce = local.teams
  rule "r" {
    assert = try(local.team, false) || can(var.image_tga) || try(var["nope"], true) || can(local["teams"])
    when = try(matches("(", task.name), true) || can(matches("[", task.name)) || matches(local.pattern, task.name)
    message = "${var.other} ${vars.image_tag}"
  }
}
locals {
  pattern = "a{2,1}"
}`,
		[]string{
			`p.hcl:8,13-24: Unknown value; enforce is "deny" or "warn", not "1".`,
			`p.hcl:10,18-28: Undefined local; This file has no local "team". Did you mean "teams"?`,
			`p.hcl:10,44-57: Undefined variable; This file has no variable "image_tga". Did you mean "image_tag"?`,
			`p.hcl:10,66-77: Undefined variable; This file has no variable "nope".`,
			"p.hcl:11,24-27: Not a regular expression; missing closing ): `(`. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.",
			"p.hcl:11,62-65: Not a regular expression; missing closing ]: `[`. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.",
			"p.hcl:11,90-103: Not a regular expression; invalid repeat count: `{2,1}`. The syntax is RE2, https://github.com/google/re2/wiki/Syntax.",
			`p.hcl:12,18-27: Undefined variable; This file has no variable "other".`,
			`p.hcl:12,31-45: Unknown variable; Expressions here see task, group, job, live, not "vars".`,
		},
	},
	{
		"places",
		`policy "p" {
  rule "r" {
    for_each = [1, 2]
    assert = each.value > 1
  }
  rule "s" {
    for_each = concat(task.template, [])
    assert = true
  }
  rule "t" {
    for_each = live.group
    assert = true
  }
  rule "u" {
    assert = each.value == 1
    fix {
      path = each.value
      value = each.key
    }
  }
  rule "v" {
    scope = "job"
    assert = task.driver == "docker" && group.count > 1
    for_each = task.template
  }
  rule "w" {
    scope = "group"
    assert = task.driver == "docker"
  }
  rule "x" {
    assert = true
    fix {
      path = live.priority
      value = 1
    }
    fix {
      path = "task.driver"
      value = 1
    }
    fix {
      path = task.template[*].destination
      value = 1
    }
    fix {
      path = task
      value = 1
    }
    fix {
      path = each.key
      value = 1
    }
    fix {
      path = var.x
      value = 1
    }
    fix {
      path = job.nonsense
      value = tsk.name
    }
    fix {
    }
  }
  rule "y" {
    for_each = task.env
    assert = true
    fix {
      path = each.key
      value = 1
    }
    fix {
      path = each
      value = each.vlaue
    }
  }
  rule "z" {
    for_each = each.value
    assert = true
  }
}`,
		[]string{
			`p.hcl:3,16-22: Not a place; for_each goes over the blocks or keys at a place such as task.template, group.service or task.env.`,
			`p.hcl:7,16-41: Not a place; for_each goes over the blocks or keys at a place such as task.template, group.service or task.env.`,
			`p.hcl:11,16-26: Not a place; for_each goes over the blocks or keys at a place such as task.template, group.service or task.env.`,
			`p.hcl:15,14-24: Unknown variable; Expressions here see task, group, job, live, not "each".`,
			`p.hcl:17,14-24: Unknown variable; Expressions here see task, group, job, live, not "each".`,
			`p.hcl:18,15-23: Unknown variable; Expressions here see task, group, job, live, not "each".`,
			`p.hcl:23,14-25: Unknown variable; Expressions here see each, job, live, not "task".`,
			`p.hcl:23,41-52: Unknown variable; Expressions here see each, job, live, not "group".`,
			`p.hcl:24,16-29: Unknown variable; Expressions here see job, live, not "task".`,
			`p.hcl:28,14-25: Unknown variable; Expressions here see group, job, live, not "task".`,
			`p.hcl:33,14-27: Not a place; path is what the fix changes, written like task.resources.memory or each.value.port.`,
			`p.hcl:37,14-27: Not a place; path is what the fix changes, written like task.resources.memory or each.value.port.`,
			`p.hcl:41,14-42: Not a place; path is what the fix changes, written like task.resources.memory or each.value.port.`,
			`p.hcl:45,14-18: Not a place; path is what the fix changes, written like task.resources.memory or each.value.port.`,
			`p.hcl:49,14-22: Unknown variable; Expressions here see task, group, job, live, not "each".`,
			`p.hcl:53,14-19: Undefined variable; This file has no variable "x".`,
			`p.hcl:57,17-26: Unknown attribute; Job files have no "nonsense" in job.`,
			`p.hcl:58,15-23: Unknown variable; Expressions here see task, group, job, live, not "tsk". Did you mean "task"?`,
			`p.hcl:60,9-9: Missing required argument; The argument "path" is required, but no definition was found.`,
			`p.hcl:60,9-9: Missing required argument; The argument "value" is required, but no definition was found.`,
			`p.hcl:67,14-22: Not a place; path is what the fix changes, written like task.resources.memory or each.value.port.`,
			`p.hcl:71,14-18: Not a place; path is what the fix changes, written like task.resources.memory or each.value.port.`,
			`p.hcl:72,15-25: Unknown attribute; each has key and value, not "vlaue". Did you mean "value"?`,
			`p.hcl:76,16-26: Unknown variable; Expressions here see task, group, job, live, not "each".`,
		},
	},
	{
		"types of variables",
		`variable "a" {
  type = optional(string)
}
variable "b" {
  type = list()
  default = []
}
variable "c" {
  type = object({ a = string })
  default = { b = 1 }
}
variable "d" {
  default = null
}
policy "p" {
  fix = var.d
  match {
    job = [var.d]
    when = local.x
  }
  rule "r" {
    assert = task.nonsense
    message = "${task.nam}"
  }
}
policy "p" {
  sudo {
    preserve_env = false
  }
}`,
		[]string{
			`p.hcl:2,10-18: Invalid type specification; Keyword "optional" is valid only as a modifier for object type attributes.`,
			`p.hcl:5,14-16: Invalid type specification; The list type constructor requires one argument specifying the element type.`,
			`p.hcl:10,13-22: Wrong type; The default is not object({a=string}): attribute "a" is required.`,
			`p.hcl:16,9-14: Wrong type; fix must be true or false, not null.`,
			`p.hcl:18,11-18: Empty string in a list; Every element of job must be a string that is not empty.`,
			`p.hcl:19,12-19: Undefined local; This file has no local "x".`,
			`p.hcl:22,18-27: Unknown attribute; Job files have no "nonsense" in task.`,
			`p.hcl:23,22-26: Unknown attribute; Job files have no "nam" in task. Did you mean "name"?`,
			`p.hcl:26,8-11: Duplicate policy; There is a policy "p" at p.hcl:15 already. Rename one of them.`,
		},
	},
	{
		"names that job files have not, also in can and try",
		`policy "p" {
  match {
    when = try(job.prioriti, 0) > 1
  }
  rule "r" {
    assert = try(task.resource.memory, 0) <= 4096 && can(task.resources.memry) && task.template.destination == ""
    when = can(job.group.web.task["app"].drivr) || try(live.group["web"].cont, 1) == 1 || can(group.network[0].port["http"].statc)
    message = "${task.config.anything} ${job.meta.anything} ${group.service[0].nam} ${try([for t in group.task : t.anything][0], "")}"
  }
  rule "s" {
    for_each = task.template
    assert = each.value.destinaton != "" && each.key >= 0
    fix {
      path = each.value.destinaton
      value = each.value.dat
    }
  }
  rule "t" {
    scope = "group"
    for_each = group.task
    assert = each.value.drivr == each.key
  }
  rule "u" {
    for_each = task.config
    assert = each.value.anything
  }
}`,
		[]string{
			`p.hcl:3,19-28: Unknown attribute; Job files have no "prioriti" in job. Did you mean "priority"?`,
			`p.hcl:6,22-31: Unknown attribute; Job files have no "resource" in task. Did you mean "resources"?`,
			`p.hcl:6,72-78: Unknown attribute; Job files have no "memry" in resources. Did you mean "memory"?`,
			`p.hcl:6,96-108: Not a block; There may be several of template: write template[0].destination for the first, template[*].destination for all.`,
			`p.hcl:7,41-47: Unknown attribute; Job files have no "drivr" in task. Did you mean "driver"?`,
			`p.hcl:7,73-78: Unknown attribute; Job files have no "cont" in group. Did you mean "count"?`,
			`p.hcl:7,124-130: Unknown attribute; Job files have no "statc" in port. Did you mean "static"?`,
			`p.hcl:8,79-83: Unknown attribute; Job files have no "nam" in service. Did you mean "name"?`,
			`p.hcl:12,24-35: Unknown attribute; Job files have no "destinaton" in each.value. Did you mean "destination"?`,
			`p.hcl:14,24-35: Unknown attribute; Job files have no "destinaton" in each.value. Did you mean "destination"?`,
			`p.hcl:15,25-29: Unknown attribute; Job files have no "dat" in each.value. Did you mean "data"?`,
			`p.hcl:21,24-30: Unknown attribute; Job files have no "drivr" in each.value. Did you mean "driver"?`,
		},
	},
	{
		"syntax",
		`policy "p" {
  enforce = 
}`,
		[]string{
			`p.hcl:2,13-3,1: Invalid expression; Expected the start of an expression, but found an invalid expression token.`,
		},
	},
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range mistakes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, diags := policies.Load([]policies.Source{{Name: "p.hcl", Bytes: []byte(c.src)}}, policies.Options{Gates: kinds})
			if diff := gocmp.Diff(c.want, texts(diags)); diff != "" {
				t.Errorf("in:\n%s(-want +got):\n%s", c.src, diff)
			}
			if (s == nil) != diags.HasErrors() {
				t.Errorf("set %v with errors %v", s, diags.HasErrors())
			}
		})
	}
}

// seeds are policy files with mistakes and without.
func seeds(f *testing.F) (all []string) {
	f.Helper()
	for _, c := range mistakes {
		all = append(all, c.src)
	}
	for _, a := range acceptance {
		all = append(all, a.policy)
	}
	examples, _ := readmeExamples(f)
	return append(append(all, examples...), libraryPolicies(f)...)
}

func libraryPolicies(tb testing.TB) (all []string) {
	tb.Helper()
	names, err := filepath.Glob("library/*.policy.hcl")
	if err != nil || len(names) == 0 {
		tb.Fatalf("no library: %v", err)
	}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, string(src))
	}
	return all
}

// FuzzLoad: bad input never panics, and every diagnostic points into its source.
func FuzzLoad(f *testing.F) {
	for _, src := range seeds(f) {
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, diags := policies.Load([]policies.Source{{Name: "p.hcl", Bytes: []byte(src)}}, policies.Options{Gates: kinds})
		for _, d := range diags {
			if d.Subject == nil {
				t.Fatalf("no range: %s", d)
			}
			pointsInto(t, d, src)
		}
		if (s == nil) != diags.HasErrors() {
			t.Fatalf("set %v with errors %v", s, diags.HasErrors())
		}
	})
}

func pointsInto(t *testing.T, d *hcl.Diagnostic, src string) {
	t.Helper()
	if r := d.Subject; r.Start.Byte < 0 || r.Start.Byte > r.End.Byte || r.End.Byte > len(src) {
		t.Fatalf("%s: bytes %d to %d of %d", d, r.Start.Byte, r.End.Byte, len(src))
	}
}

// FuzzCheck: whatever loads can be held against any job. It leaves the job alone,
// points into its source, and its edits can be made.
func FuzzCheck(f *testing.F) {
	for _, src := range seeds(f) {
		f.Add(src)
	}
	jobs := []*api.Job{ruleJob(), newJob("j", sudoTask("t", "-nE", "x")), {}}
	for _, file := range jobspectest.Generate(3) {
		parsed, diags := jobspec.Parse(file.Name, file.Bytes, jobspec.Inputs{})
		if diags.HasErrors() {
			f.Fatal(diags)
		}
		jobs = append(jobs, parsed.Job)
	}
	f.Fuzz(func(t *testing.T, src string) {
		s, diags := policies.Load([]policies.Source{{Name: "p.hcl", Bytes: []byte(src)}}, policies.Options{Gates: kinds})
		if diags.HasErrors() {
			return
		}
		for i, j := range jobs {
			before := job.Clone(j)
			v, diags := s.Check(policies.LiveSide, j, jobs[len(jobs)-1-i])
			if !job.Equal(before, j) {
				t.Fatal("Check changed the job")
			}
			for _, d := range diags {
				if d.Subject != nil {
					pointsInto(t, d, src)
				}
			}
			if diags.HasErrors() || v.Conflict != "" {
				continue
			}
			if _, err := job.Apply(j, v.Edits); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// readmeExamples are those of policies; other files say in a comment what they are.
func readmeExamples(t testing.TB) (examples []string, others map[string]string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	others = map[string]string{}
	for _, m := range hclBlock.FindAllStringSubmatch(string(readme), -1) {
		if m[1] == "" {
			examples = append(examples, m[2])
		} else {
			others[m[1]] = m[2]
		}
	}
	return examples, others
}

var hclBlock = regexp.MustCompile("(?s)```hcl\n(?:# ([\\w.-]+\\.hcl)\n)?(.*?)```")

// TestReadme: every example of the reference loads, without a word, and fits jobs.
func TestReadme(t *testing.T) {
	t.Parallel()
	examples, others := readmeExamples(t)
	if len(examples) < 10 {
		t.Fatalf("only %d examples found", len(examples))
	}
	files := jobspectest.Generate(30)
	for _, src := range examples {
		set, diags := policies.Load([]policies.Source{{Name: "README.md", Bytes: []byte(src)}}, policies.Options{Gates: kinds})
		if len(diags) > 0 {
			t.Errorf("%s\nin:\n%s", strings.Join(texts(diags), "\n"), src)
			continue
		}
		for _, f := range files {
			file, diags := jobspec.Parse(f.Name, f.Bytes, jobspec.Inputs{})
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			if _, diags := set.Check(policies.LiveSide, file.Job, nil); diags.HasErrors() {
				t.Errorf("%s\nin:\n%s", strings.Join(texts(diags), "\n"), src)
				break
			}
		}
	}
	if _, diags := config.Load("reconcile.hcl", []byte(others["reconcile.hcl"])); diags.HasErrors() || others["reconcile.hcl"] == "" {
		t.Errorf("reconcile.hcl: %v", texts(diags))
	}
}

// TestReadmeIsFormatted needs Nomad itself: NOMAD_BIN, or nomad on the PATH.
func TestReadmeIsFormatted(t *testing.T) {
	t.Parallel()
	nomad, err := exec.LookPath(cmp.Or(os.Getenv("NOMAD_BIN"), "nomad"))
	if err != nil {
		t.Skip("no nomad: neither NOMAD_BIN nor on the PATH")
	}
	examples, others := readmeExamples(t)
	all := slices.AppendSeq(examples, maps.Values(others))
	dir := t.TempDir()
	for i, src := range all {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.hcl", i)), []byte(src), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(nomad, "fmt", "-check", "-list", "-write=false", dir).CombinedOutput()
	if err != nil {
		t.Errorf("nomad fmt: %v\n%s", err, out)
	}
	for _, m := range regexp.MustCompile(`(\d+)\.hcl`).FindAllStringSubmatch(string(out), -1) {
		if i, err := strconv.Atoi(m[1]); err == nil && i < len(all) {
			t.Errorf("nomad fmt would change:\n%s", all[i])
		}
	}
}

// TestReadmeListsFunctions: all of them, and no others.
func TestReadmeListsFunctions(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(readme), "<!-- functions -->")
	text, _, _ = strings.Cut(text, "<!-- end of functions -->")
	var listed []string
	for _, m := range regexp.MustCompile("`([a-z0-9_]+)(?:\\([a-z, ]+\\))?`(?: \\||,|\n)").FindAllStringSubmatch(text, -1) {
		listed = append(listed, m[1])
	}
	slices.Sort(listed)
	if diff := gocmp.Diff(policies.FunctionNames(), listed); diff != "" {
		t.Errorf("README.md (-functions +README):\n%s", diff)
	}
}

func TestSet(t *testing.T) {
	t.Parallel()
	a := policies.Source{Name: "a.policy.hcl", Bytes: []byte("policy \"one\" {\n  description = \"d\"\n  fix = true\n  env {\n  }\n}\n")}
	b := policies.Source{Name: "b.policy.hcl", Bytes: []byte("policy \"two\" {\n  enforce = \"warn\"\n  env {\n  }\n}\n")}
	set := func(files ...policies.Source) *policies.Set {
		s, diags := policies.Load(files, policies.Options{})
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		return s
	}
	s := set(a, b)
	var names []string
	for _, p := range s.Policies() {
		names = append(names, p.Name+" "+p.Description+" "+string(p.Enforce)+" "+p.Range.Filename)
	}
	if diff := gocmp.Diff([]string{"one d deny a.policy.hcl", "two  warn b.policy.hcl"}, names); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	if string(s.Sources()["b.policy.hcl"].Bytes) != string(b.Bytes) {
		t.Error("Sources lacks the bytes of b")
	}
	if s.Revision() != set(b, a).Revision() {
		t.Error("the revision depends on the order of files")
	}
	b.Bytes = append(b.Bytes, '\n')
	if s.Revision() == set(a, b).Revision() {
		t.Error("the revision does not depend on the bytes")
	}
	if set().Revision() == "" || len(check(t, set(), newJob("j")).Findings) > 0 {
		t.Error("an empty set holds nothing against nobody")
	}
}

// What is given from elsewhere is reported there, by file and place; the mistakes of
// all files come in one go.
func TestMistakesAcrossFiles(t *testing.T) {
	t.Parallel()
	a := policies.Source{Name: "a.policy.hcl", Bytes: []byte(`variable "limit" {
  type = number
}
variable "mode" {
  type = string
  default = "x"
  validation {
    condition = contains(["x", "y"], var.mode)
    error_message = "mode is x or y."
  }
}
policy "p" {
  rule "r" {
    assert = task.resources.memory <= var.limit
  }
}
`)}
	b := policies.Source{Name: "b.policy.hcl", Bytes: []byte(`variable "limit" {
  type = number
}
policy "p" {
  rule "r" {
    assert = var.limit > local.a
  }
}
`)}
	given := func(v cty.Value, line int) policies.Given {
		at := hcl.Range{Filename: "reconcile.hcl", Start: hcl.Pos{Line: line, Column: 20, Byte: 100 * line}, End: hcl.Pos{Line: line, Column: 25, Byte: 100*line + 5}}
		name := at
		name.Start.Column, name.End.Column = 3, 8
		name.Start.Byte -= 17
		return policies.Given{Value: v, Range: at, Name: name}
	}
	tests := []struct {
		name        string
		vars, ofOne map[string]policies.Given
		want        []string
	}{
		{name: "nothing given", want: []string{
			"a.policy.hcl:1,1-17: Unset variable; Give \"limit\" a value in reconcile.hcl, `policy_vars = { limit = ... }`, or a default here.",
			"b.policy.hcl:1,1-17: Unset variable; Give \"limit\" a value in reconcile.hcl, `policy_vars = { limit = ... }`, or a default here.",
			`b.policy.hcl:4,8-11: Duplicate policy; There is a policy "p" at a.policy.hcl:12 already. Rename one of them.`,
			`b.policy.hcl:6,26-33: Undefined local; This file has no local "a".`,
		}},
		{
			name:  "typos, and another type",
			vars:  map[string]policies.Given{"limit": given(cty.StringVal("much"), 3), "limti": given(cty.True, 4), "other": given(cty.True, 5)},
			ofOne: map[string]policies.Given{"limit": given(cty.NumberIntVal(1), 8), "mod": given(cty.True, 9)},
			want: []string{
				`reconcile.hcl:3,20-25: Wrong type; The variable "limit" is number: a number is required.`,
				`reconcile.hcl:4,3-8: Unknown variable; No policy file declares a variable "limti". Did you mean "limit"?`,
				`reconcile.hcl:5,3-8: Unknown variable; No policy file declares a variable "other".`,
				`reconcile.hcl:9,3-8: Unknown variable; The policy has no variable "mod". Did you mean "mode"?`,
				`b.policy.hcl:4,8-11: Duplicate policy; There is a policy "p" at a.policy.hcl:12 already. Rename one of them.`,
				`b.policy.hcl:6,26-33: Undefined local; This file has no local "a".`,
			},
		},
		{
			name: "not valid",
			vars: map[string]policies.Given{"limit": given(cty.NumberIntVal(1), 3), "mode": given(cty.StringVal("z"), 4)},
			want: []string{
				`a.policy.hcl:8,17-47: Invalid value for a variable; "mode": mode is x or y.`,
				`b.policy.hcl:4,8-11: Duplicate policy; There is a policy "p" at a.policy.hcl:12 already. Rename one of them.`,
				`b.policy.hcl:6,26-33: Undefined local; This file has no local "a".`,
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			one := a
			one.Vars = test.ofOne
			s, diags := policies.Load([]policies.Source{one, b}, policies.Options{Vars: test.vars})
			if diff := gocmp.Diff(test.want, texts(diags)); diff != "" || s != nil {
				t.Errorf("set %v (-want +got):\n%s", s, diff)
			}
		})
	}
}

package policies_test

import (
	"fmt"
	"strings"
	"testing"

	"nomad-reconcile/policies"
)

func TestZZ(t *testing.T) {
	for _, c := range strings.Split(zz, "=====\n") {
		_, diags := policies.Load([]policies.Source{{Name: "p.hcl", Bytes: []byte(c)}}, policies.Options{Gates: kinds})
		fmt.Println(c + "---")
		for _, x := range texts(diags) {
			fmt.Println("`" + x + "`,")
		}
	}
}

const zz = `policy "p" {
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
}
=====
policy "p" {
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
}
=====
policy "p" {
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
}
=====
policy "p" {
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
}
=====
variable "a" {
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
}
=====
locals {
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
}
=====
variable "image_tag" {
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
}
=====
policy "p" {
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
}
=====
variable "a" {
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
}
`

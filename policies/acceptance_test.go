package policies_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

// What companies ask of their jobs, written from README.md alone, held against job
// files that break it and others that only look as if they did.
var acceptance = []struct {
	name, policy string
	jobs         []acceptanceJob
}{
	{
		name: "no privileged containers and no host network, but for a few jobs",
		policy: `
policy "isolation" {
  match {
    driver = ["docker", "podman"]
  }

  rule "privileged" {
    assert  = !can(task.config.privileged) || try(!task.config.privileged, false)
    message = "task ${task.name} owns the node: take privileged away, or ask for an exception"
  }

  rule "host-network" {
    assert  = try(task.config.network_mode, "bridge") != "host"
    message = "task ${task.name} sees the node's network"
  }

  rule "group-host-network" {
    scope    = "group"
    for_each = group.network
    assert   = each.value.mode != "host"
    message  = "group ${group.name} is in the node's network"
  }

  exception {
    job     = ["node-exporter", "cni/*"]
    rule    = ["privileged", "*host-network"]
    reason  = "they look after the nodes themselves"
    expires = "2027-06-30"
  }
}
`,
		jobs: []acceptanceJob{
			{name: "breaks all three", text: `
job "web" {
  group "g" {
    network {
      mode = "host"
    }
    task "app" {
      driver = "docker"
      config {
        image        = "x"
        privileged   = true
        network_mode = "host"
      }
    }
  }
}
`, want: []string{
				`5: rule.group-host-network (deny) group["g"].network[0].mode`,
				`11: rule.privileged (deny) group["g"].task["app"].config.privileged`,
				`12: rule.host-network (deny) group["g"].task["app"].config.network_mode`,
			}},
			{name: "a string, and what is known on the node alone", text: `
job "web" {
  group "g" {
    task "text" {
      driver = "podman"
      config {
        privileged = "true"
      }
    }
    task "node" {
      driver = "docker"
      config {
        privileged = "${meta.privileged}"
      }
    }
  }
}
`, want: []string{
				`7: rule.privileged (deny) group["g"].task["text"].config.privileged`,
				`13: rule.privileged (deny) group["g"].task["node"].config.privileged`,
			}},
			{name: "holds", text: `
job "web" {
  group "g" {
    network {
      port "http" {}
    }
    task "bare" {
      driver = "docker"
    }
    task "said" {
      driver = "docker"
      config {
        privileged   = false
        network_mode = "bridge"
      }
    }
    task "text" {
      driver = "docker"
      config {
        privileged = "false"
      }
    }
    task "nothing" {
      driver = "docker"
      config {
        privileged = null
      }
    }
    task "connect-proxy-web" {
      kind   = "connect-proxy:web"
      driver = "docker"
      config {
        network_mode = "host"
      }
    }
    task "other-driver" {
      driver = "raw_exec"
      config {
        command    = "x"
        privileged = true
      }
    }
  }
}
`},
			{name: "on the list", text: `
job "cni/calico" {
  type = "system"
  group "g" {
    network {
      mode = "host"
    }
    task "app" {
      driver = "docker"
      config {
        privileged = true
      }
    }
  }
}
`, want: []string{
				`6: rule.group-host-network (deny, excepted) group["g"].network[0].mode`,
				`11: rule.privileged (deny, excepted) group["g"].task["app"].config.privileged`,
			}},
		},
	},
	{
		name: "limits by team",
		policy: `
variable "caps" {
  type = map(object({ cpu = number, memory = number }))
  default = {
    blue = { cpu = 2000, memory = 4096 }
    red  = { cpu = 500, memory = 1024 }
  }
}

locals {
  others = { cpu = 250, memory = 512 }
}

policy "team-caps" {
  rule "team" {
    scope   = "job"
    enforce = "warn"
    assert  = can(var.caps[job.meta.team])
    message = "job ${job.id} has no team that is known: ${join(", ", keys(var.caps))}"
  }

  rule "cpu" {
    assert = task.resources.cpu <= try(var.caps[job.meta.team], local.others).cpu
    fix {
      path  = task.resources.cpu
      value = try(var.caps[job.meta.team], local.others).cpu
    }
  }

  rule "memory" {
    assert = task.resources.memory <= try(var.caps[job.meta.team], local.others).memory
    fix {
      path  = task.resources.memory
      value = try(var.caps[job.meta.team], local.others).memory
    }
  }

  rule "memory-max" {
    when   = task.resources.memory_max != null
    assert = task.resources.memory_max <= 2 * try(var.caps[job.meta.team], local.others).memory
  }

  fix = true
}
`,
		jobs: []acceptanceJob{
			{name: "one team may what the other may not", text: `
locals {
  memory = 2048
}
job "a" {
  meta {
    team = "red"
  }
  group "g" {
    task "big" {
      driver = "exec"
      resources {
        cpu        = 1000
        memory     = local.memory # much
        memory_max = 4096
      }
    }
    task "small" {
      driver = "exec"
    }
  }
}
`, want: []string{
				`3: rule.memory (deny, fixable) group["g"].task["big"].resources.memory`,
				`13: rule.cpu (deny, fixable) group["g"].task["big"].resources.cpu`,
				`15: rule.memory-max (deny) group["g"].task["big"].resources.memory_max`,
			}, fixed: []string{"memory = 2048", "memory = 1024", "cpu        = 1000", "cpu        = 500"}},
			{name: "the other team", text: `
job "a" {
  meta = { team = "blue" }
  group "g" {
    task "big" {
      driver = "exec"
      resources {
        cpu        = 1000
        memory     = 2048
        memory_max = 4096
      }
    }
    task "cores" {
      driver = "exec"
      resources {
        cores = 2
      }
    }
  }
}
`},
			{name: "no team", text: `
job "a" {
  group "g" {
    task "bare" {
      driver = "exec"
    }
    task "some" {
      driver = "exec"
      resources {
        cpu = 300
      }
    }
  }
}
`, want: []string{
				`2: rule.team (warn) `,
				`10: rule.cpu (deny, fixable) group["g"].task["some"].resources.cpu`,
			}, fixed: []string{"cpu = 300", "cpu = 250"}},
		},
	},
	{
		name: "log shipping and an owner",
		policy: `
policy "shipping" {
  fix = true

  env {
    defaults = { LOG_SHIPPER = "vector.service.consul:6000" }
  }

  rule "owner" {
    scope   = "job"
    assert  = try(job.meta.owner, "") != ""
    message = "nobody owns job ${job.id}: say who is called at night"
    fix {
      path  = job.meta.owner
      value = "platform"
    }
  }
}
`,
		jobs: []acceptanceJob{
			{name: "nothing there", text: `
job "a" {
  group "g" {
    task "t" {
      driver = "exec"
      config {
        command = "x"
      }
    }
  }
}
`, want: []string{
				`2: rule.owner (deny, fixable) meta.owner`,
				`4: env.block (deny, fixable) group["g"].task["t"]`,
			}, after: `
job "a" {
  group "g" {
    task "t" {
      driver = "exec"

      env {
        LOG_SHIPPER = "vector.service.consul:6000"
      }

      config {
        command = "x"
      }
    }
  }

  meta {
    owner = "platform"
  }
}
`},
			{name: "others there", text: `
job "a" {
  type = "system"
  meta = {
    team = "red"
  }
  group "g" {
    task "t" {
      driver = "exec"
      env {
        LOG_SHIPPER = "" # off
      }
    }
    task "u" {
      driver = "exec"
      env = { A = "b" }
    }
  }
}
`, want: []string{
				`4: rule.owner (deny, fixable) meta.owner`,
				`11: env.defaults (deny, fixable) group["g"].task["t"].env.LOG_SHIPPER`,
				`16: env.defaults (deny, fixable) group["g"].task["u"].env.LOG_SHIPPER`,
			}, after: `
job "a" {
  type = "system"
  meta = {
    team = "red"
    owner = "platform"
  }
  group "g" {
    task "t" {
      driver = "exec"
      env {
        LOG_SHIPPER = "vector.service.consul:6000" # off
      }
    }
    task "u" {
      driver = "exec"
      env = { A = "b", LOG_SHIPPER = "vector.service.consul:6000" }
    }
  }
}
`},
			{name: "holds", text: `
job "a" {
  meta {
    owner = "red"
  }
  group "g" {
    task "t" {
      driver = "exec"
      env {
        LOG_SHIPPER = "elsewhere:1"
      }
    }
    task "u" {
      driver = "exec"
      template {
        data        = "LOG_SHIPPER={{ key \"shipper\" }}"
        destination = "local/env"
        env         = true
      }
    }
  }
}
`},
		},
	},
	{
		name: "images",
		policy: `
variable "registries" {
  type    = list(string)
  default = ["registry.example.com", "localhost:5000/team"]
}

policy "images" {
  match {
    driver = ["docker", "podman"]
  }

  rule "version" {
    when    = can(task.config.image)
    assert  = matches("@sha256:[0-9a-f]{64}$|:[^:/@]+$", task.config.image) && !endswith(task.config.image, ":latest")
    message = "${task.config.image} may be another image tomorrow"
  }

  rule "registry" {
    when    = can(task.config.image)
    assert  = anytrue([for r in var.registries : startswith(task.config.image, "${r}/")])
    message = "${task.config.image} is not from ${join(" or ", var.registries)}"
  }
}
`,
		jobs: []acceptanceJob{
			{name: "breaks", text: `
variable "tag" {
  default = "latest"
}
job "a" {
  group "g" {
    task "no-tag" {
      driver = "docker"
      config {
        image = "registry.example.com/app"
      }
    }
    task "port-but-no-tag" {
      driver = "docker"
      config {
        image = "localhost:5000/team/app"
      }
    }
    task "latest" {
      driver = "podman"
      config {
        image = "registry.example.com/app:${var.tag}"
      }
    }
    task "hub" {
      driver = "docker"
      config {
        image = "redis:7.2"
      }
    }
    task "look-alike" {
      driver = "docker"
      config {
        image = "registry.example.com.evil.io/app:1"
      }
    }
    task "at-run-time" {
      driver = "docker"
      config {
        image = "${NOMAD_META_image}"
      }
    }
  }
}
`, want: []string{
				`10: rule.version (deny) group["g"].task["no-tag"].config.image`,
				`16: rule.version (deny) group["g"].task["port-but-no-tag"].config.image`,
				`22: rule.version (deny) group["g"].task["latest"].config.image`,
				`28: rule.registry (deny) group["g"].task["hub"].config.image`,
				`34: rule.registry (deny) group["g"].task["look-alike"].config.image`,
				`40: rule.version (deny) group["g"].task["at-run-time"].config.image`,
				`40: rule.registry (deny) group["g"].task["at-run-time"].config.image`,
			}},
			{name: "holds", text: `
job "a" {
  group "g" {
    task "tag" {
      driver = "docker"
      config {
        image = "registry.example.com/app:1.2"
      }
    }
    task "port" {
      driver = "docker"
      config {
        image = "localhost:5000/team/app:latest-1"
      }
    }
    task "digest" {
      driver = "docker"
      config {
        image = "registry.example.com/app:latest@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      }
    }
    task "digest-alone" {
      driver = "docker"
      config {
        image = "registry.example.com/app@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      }
    }
    task "no-image" {
      driver = "docker"
    }
    task "other-driver" {
      driver = "exec"
      config {
        image = "redis"
      }
    }
  }
}
`},
		},
	},
	{
		name: "auto_revert in production",
		policy: `
policy "safe-updates" {
  fix = true

  match {
    type      = ["service"]
    namespace = ["prod", "prod-*"]
  }

  rule "auto-revert" {
    scope   = "group"
    when    = group.update.max_parallel > 0
    assert  = group.update.auto_revert
    message = "a release of group ${group.name} that fails stays"
    fix {
      path  = group.update.auto_revert
      value = true
    }
  }
}
`,
		jobs: []acceptanceJob{
			{name: "breaks", text: `
job "a" {
  namespace = "prod-eu"
  group "no-block" {
    task "t" {
      driver = "exec"
    }
  }
  group "other-words" {
    update {
      canary = 1
    }
    task "t" {
      driver = "exec"
    }
  }
  group "said" {
    update {
      auto_revert = false # for now
    }
    task "t" {
      driver = "exec"
    }
  }
  group "null" {
    update {
      auto_revert = null
    }
    task "t" {
      driver = "exec"
    }
  }
}
`, want: []string{
				`4: rule.auto-revert (deny, fixable) group["no-block"].update.auto_revert`,
				`10: rule.auto-revert (deny, fixable) group["other-words"].update.auto_revert`,
				`19: rule.auto-revert (deny, fixable) group["said"].update.auto_revert`,
				`27: rule.auto-revert (deny, fixable) group["null"].update.auto_revert`,
			}, after: `
job "a" {
  namespace = "prod-eu"
  group "no-block" {
    task "t" {
      driver = "exec"
    }

    update {
      auto_revert = true
    }
  }
  group "other-words" {
    update {
      canary = 1
      auto_revert = true
    }
    task "t" {
      driver = "exec"
    }
  }
  group "said" {
    update {
      auto_revert = true # for now
    }
    task "t" {
      driver = "exec"
    }
  }
  group "null" {
    update {
      auto_revert = true
    }
    task "t" {
      driver = "exec"
    }
  }
}
`},
			{name: "the job's own update block", text: `
job "a" {
  namespace = "prod"
  update {
    auto_revert = true
  }
  group "inherits" {
    task "t" {
      driver = "exec"
    }
  }
  group "takes-it-back" {
    update {
      auto_revert = false
    }
    task "t" {
      driver = "exec"
    }
  }
  group "has-no-deployments" {
    update {
      max_parallel = 0
      auto_revert  = false
    }
    task "t" {
      driver = "exec"
    }
  }
}
`, want: []string{`14: rule.auto-revert (deny, fixable) group["takes-it-back"].update.auto_revert`},
				fixed: []string{"    update {\n      auto_revert = false", "    update {\n      auto_revert = true"}},
			{name: "another namespace", text: "job \"a\" {\n  group \"g\" {\n    task \"t\" {\n      driver = \"exec\"\n    }\n  }\n}\n"},
			{name: "a system job", text: "job \"a\" {\n  type = \"system\"\n  namespace = \"prod\"\n  group \"g\" {\n    task \"t\" {\n      driver = \"exec\"\n    }\n  }\n}\n"},
			{name: "a batch job", text: "job \"a\" {\n  type = \"batch\"\n  namespace = \"prod\"\n  group \"g\" {\n    task \"t\" {\n      driver = \"exec\"\n    }\n  }\n}\n"},
		},
	},
	{
		name: "no secrets in env",
		policy: `
locals {
  names = "(?i)(^|_)(password|secret|token|api_?key)$"
}

policy "secrets" {
  rule "by-name" {
    for_each = task.env
    when     = matches(local.names, each.key)
    assert   = each.value == "" || matches("^[$][{][^}]+[}]$", each.value)
    message  = "${each.key} is there to read for everybody who may read the job: take it from Vault by a template"
  }

  rule "by-entropy" {
    for_each = task.env
    when     = !matches(local.names, each.key) && matches("^[0-9A-Za-z+/=_-]{20,}$", each.value)
    assert   = entropy(each.value) < 4
    enforce  = "warn"
    message  = "${each.key} looks like a key"
  }
}
`,
		jobs: []acceptanceJob{
			{name: "breaks", text: `
locals {
  key = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA=="
}
job "a" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        DB_PASSWORD = "hunter2"
        ApiKey      = "abc"
        MIXED_TOKEN = "x-${node.unique.id}"
        SESSION     = local.key
        BLOB        = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJ"
      }
    }
  }
}
`, want: []string{
				`3: rule.by-entropy (warn) group["g"].task["t"].env.SESSION`,
				`10: rule.by-name (deny) group["g"].task["t"].env.DB_PASSWORD`,
				`11: rule.by-name (deny) group["g"].task["t"].env.ApiKey`,
				`12: rule.by-name (deny) group["g"].task["t"].env.MIXED_TOKEN`,
				`14: rule.by-entropy (warn) group["g"].task["t"].env.BLOB`,
			}},
			{name: "holds", text: `
job "a" {
  group "g" {
    task "t" {
      driver = "exec"
      env {
        DB_PASSWORD_FILE = "/secrets/db"
        API_TOKEN        = ""
        VAULT_TOKEN      = "${NOMAD_META_token}"
        TOKENIZER        = "bpe"
        REQUEST_ID       = "123e4567-e89b-12d3-a456-426614174000"
        URL              = "https://example.com/a/long/path?with=query&and=more"
        WORDS            = "the-quick-brown-fox-and-so-on-and-on"
        SHORT            = "aB3dE6"
        NUMBER           = 12345678901234567890
      }
    }
    task "no-env" {
      driver = "exec"
    }
  }
}
`},
		},
	},
	{
		name: "a check on every service with a port",
		policy: `
policy "checks" {
  rule "group" {
    scope    = "group"
    for_each = group.service
    when     = each.value.port != "" && !can(each.value.connect.sidecar_service.port)
    assert   = length(each.value.check) > 0
    message  = "service ${each.value.name} is healthy whatever it does"
  }

  rule "task" {
    for_each = task.service
    when     = each.value.port != ""
    assert   = length(each.value.check) > 0
    message  = "service ${each.value.name} is healthy whatever it does"
  }
}
`,
		jobs: []acceptanceJob{
			{name: "breaks", text: `
job "a" {
  group "g" {
    network {
      port "http" {}
    }
    service {
      name = "one"
      port = "http"
    }
    service {
      name = "native"
      port = 8080
      connect {
        native = true
      }
    }
    task "t" {
      driver = "exec"
      service {
        name = "checked"
        port = "http"
        check {
          type     = "tcp"
          interval = "10s"
          timeout  = "2s"
        }
      }
      service {
        name         = "alone"
        port         = "http"
        address_mode = "host"
        check_restart {
          limit = 3
        }
      }
    }
  }
}
`, want: []string{
				`7: rule.group (deny) group["g"].service[0].check`,
				`11: rule.group (deny) group["g"].service[1].check`,
				`29: rule.task (deny) group["g"].task["t"].service[1].check`,
			}},
			{name: "holds", text: `
job "a" {
  group "g" {
    service {
      name = "no-port"
    }
    service {
      name = "sidecar"
      port = 9001
      connect {
        sidecar_service {}
      }
    }
    service {
      name     = "nomad"
      provider = "nomad"
      port     = "http"
      check {
        type     = "http"
        path     = "/"
        interval = "10s"
        timeout  = "2s"
      }
    }
    task "t" {
      driver = "exec"
      service {
        name = "no-port"
      }
    }
  }
}
`},
		},
	},
}

type acceptanceJob struct {
	name, text string
	want       []string // LINE: RULE (ENFORCE, fixable, excepted) PATH
	fixed      []string // with all fixes: pairs of text and what stands there instead
	after      string   // or the whole text
}

func (j acceptanceJob) afterwards() string {
	if j.after != "" {
		return j.after
	}
	return strings.NewReplacer(j.fixed...).Replace(j.text)
}

func TestAcceptance(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for _, a := range acceptance {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			set, diags := policies.Load([]policies.Source{{Name: "p", Bytes: []byte(a.policy)}}, policies.Options{Now: now})
			if len(diags) > 0 {
				t.Fatal(texts(diags))
			}
			for _, j := range a.jobs {
				found, after := held(t, set, j.text)
				if diff := cmp.Diff(j.want, found); diff != "" {
					t.Errorf("%s (-want +got):\n%s", j.name, diff)
				}
				if diff := cmp.Diff(j.afterwards(), after); diff != "" {
					t.Errorf("%s, fixed (-want +got):\n%s", j.name, diff)
				}
			}
		})
	}
}

// held is what the set finds in a job file, in the order of the file, and the file
// with all fixes made.
func held(t *testing.T, set *policies.Set, text string) (found []string, after string) {
	t.Helper()
	file, diags := jobspec.Parse("job.hcl", []byte(text), jobspec.Inputs{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	v := check(t, set, file.Job)
	byLine := map[int][]string{}
	for _, f := range v.Findings {
		words := string(f.Enforce)
		if f.Fixable() {
			words += ", fixable"
		}
		if f.Exception != nil {
			words += ", excepted"
		}
		line := file.Range(f.Path).Start.Line
		byLine[line] = append(byLine[line], fmt.Sprintf("%d: %s (%s) %s", line, f.Rule, words, f.Path))
	}
	for line := range strings.Count(text, "\n") + 1 {
		found = append(found, byLine[line]...)
	}
	desired, err := job.Apply(file.Job, v.Edits)
	if err != nil {
		t.Fatal(err)
	}
	fixed, diags := file.Edit(v.Edits, desired)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return found, string(fixed)
}

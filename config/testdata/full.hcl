nomad {
  address    = "https://nomad.example.com:4646"
  namespaces = ["default", "prod"]
}

source "directory" "jobs" {
  path      = "services"
  include   = ["*.nomad"]
  exclude   = ["old/**"]
  namespace = "prod"
  var       = { region = "eu", count = 3, debug = true, ratio = 0.5 }
  var_files = ["prod.vars.hcl", "/etc/reconcile/common.vars.hcl"]
  job_vars = {
    "web.hcl"       = ["z.vars.hcl"]
    "api/**"        = []
    "{a,b}-*.nomad" = ["one.vars.hcl", "two.vars.hcl"]
  }
  files_from = "source"
}

source "directory" "batch" {
}

source "nomad" "running" {
  job       = ["web", "api-*"]
  namespace = ["prod"]
  exclude   = ["*-canary"]
}

policies = ["policies", "../shared/sudo.policy.hcl"]

state {
  dir      = "/var/lib/reconcile"
  keep     = 5
  keep_for = "2160h"
}

backup {
  beside = true
}

sync {
  fix    = "apply"
  drift  = "correct"
  create = "register"
  prune  = "stop"
}

limits {
  concurrency = 2
  max_changes = 1
}

interval = "1m30s"
settle   = "0s"
shutdown = "2m"

http {
  address    = "0.0.0.0:9464"
  token_file = "http.token"
  pprof      = true
}

calm {
  window = ["Mon-Fri 09:00-17:00 Europe/Berlin", "Sat,Sun 22:00-06:00"]
}

log {
  level  = "debug"
  format = "json"
}

policy_vars = {
  max_memory = 4096
  "teams"    = ["web", "data"]
}

library "images" {
  allowed_registries = ["registry.example.com"]
  enforce            = "warn"
  fix                = false

  exception {
    job     = ["legacy-*"]
    reason  = "moves in spring"
    expires = "2027-03-31"
  }
}

library "sudo" {}

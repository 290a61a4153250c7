# Every attribute of a job, and its blocks that are not groups.
job "every-job-attribute" {
  region      = "global"
  namespace   = "platform"
  id          = "another-id"
  name        = "another-name"
  type        = "service"
  priority    = 60
  all_at_once = true
  datacenters = ["dc1", "dc2"]
  node_pool   = "gpu"

  constraint {
    attribute = "${attr.kernel.name}"
    operator  = "="
    value     = "linux"
  }

  affinity {
    attribute = "${node.datacenter}"
    operator  = "!="
    value     = "dc9"
    weight    = -50
  }

  spread {
    attribute = "${node.datacenter}"
    weight    = 100
    target "dc1" {
      percent = 70
    }
    target "dc2" {
      percent = 30
    }
  }

  update {
    stagger           = "30s"
    max_parallel      = 2
    health_check      = "task_states"
    min_healthy_time  = "11s"
    healthy_deadline  = "6m"
    progress_deadline = "12m"
    canary            = 1
    auto_revert       = true
    auto_promote      = true
  }

  multiregion {
    strategy {
      max_parallel = 1
      on_failure   = "fail_all"
    }
    region "west" {
      count       = 2
      datacenters = ["west-1"]
      node_pool   = "west"
      meta {
        zone = "w"
      }
    }
    region "east" {
      count = 1
    }
  }

  reschedule {
    attempts       = 3
    interval       = "1h"
    delay          = "30s"
    delay_function = "exponential"
    max_delay      = "10m"
    unlimited      = false
  }

  migrate {
    max_parallel     = 1
    health_check     = "checks"
    min_healthy_time = "10s"
    healthy_deadline = "5m"
  }

  meta {
    owner = "platform"
    tries = 3
    live  = true
  }

  ui {
    description = "What it **does**"
    link {
      label = "Runbook"
      url   = "https://example.com/runbook"
    }
    link {
      label = "Dashboard"
      url   = "https://example.com/dashboard"
    }
  }

  group "only" {}
}

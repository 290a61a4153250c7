# What the policies beside this file find, and what they make of it: `reconcile test`

test "sudo -E is refused and taken out" {
  example = "breaks"
  job     = <<-EOT
    job "orchestrator" {
      group "orchestrator" {
        task "orchestrator" {
          driver = "raw_exec"

          config {
            command = "sudo"
            args    = ["-nE", "/opt/start.sh"] # as it stands
          }

          env {
            NODE_ID           = "${node.unique.name}"
            ENVIRONMENT       = "local"
            LOG_LEVEL         = "info"
            OTEL_SERVICE_NAME = "orchestrator"
          }
        }
      }
    }
  EOT

  finding "sudo.preserve_env" {
    line    = 8
    enforce = "deny"
    fixable = true
  }

  fixed = <<-EOT
    job "orchestrator" {
      group "orchestrator" {
        task "orchestrator" {
          driver = "raw_exec"

          config {
            command = "sudo"
            args    = ["-n", "/opt/start.sh"] # as it stands
          }

          env {
            NODE_ID           = "${node.unique.name}"
            ENVIRONMENT       = "local"
            LOG_LEVEL         = "info"
            OTEL_SERVICE_NAME = "orchestrator"
          }
        }
      }
    }
  EOT
}

test "without sudo -E, and with its environment" {
  example = "holds"
  job     = <<-EOT
    job "orchestrator-2" {
      group "orchestrator" {
        task "orchestrator" {
          driver = "raw_exec"

          config {
            command = "sudo"
            args    = ["-n", "/opt/start.sh"]
          }

          env {
            NODE_ID           = "${node.unique.name}"
            ENVIRONMENT       = "local"
            LOG_LEVEL         = "debug"
            OTEL_SERVICE_NAME = "orchestrator-2"
          }
        }
      }
    }
  EOT
}

test "a missing env block is made, but for what only a person knows" {
  job = <<-EOT
    job "orchestrator" {
      group "orchestrator" {
        task "orchestrator" {
          driver = "exec"

          config {
            command = "/opt/start.sh"
          }
        }
      }
    }
  EOT

  finding "env.block" {
    line    = 3
    message = "missing: NODE_ID, ENVIRONMENT, LOG_LEVEL, OTEL_SERVICE_NAME"
  }

  finding "env.required" {
    message = "NODE_ID"
  }

  finding "env.required" {
    message = "ENVIRONMENT"
  }
}

test "what is set to something else" {
  job = <<-EOT
    job "orchestrator" {
      group "orchestrator" {
        task "orchestrator" {
          driver = "exec"

          config {
            command = "/opt/start.sh"
          }

          env {
            NODE_ID           = "n1"
            ENVIRONMENT       = "local"
            OTEL_SERVICE_NAME = "other"
          }
        }
      }
    }
  EOT

  finding "env.values" {
    line = 13
  }

  finding "env.defaults" {
    message = "LOG_LEVEL"
  }
}

test "other jobs are none of its business" {
  job = <<-EOT
    job "web" {
      group "web" {
        task "web" {
          driver = "raw_exec"

          config {
            command = "sudo"
            args    = ["-E", "app"]
          }
        }
      }
    }
  EOT
}

test "no way back is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.auto-revert" {
    line    = 2
    message = "a failed deployment of group app stays half done; set auto_revert = true"
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }

        update {
          auto_revert = true
        }
      }
    }
  EOT
}

test "a way back" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        update {
          auto_revert = true
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "auto_revert = false" {
  job = <<-EOT
    job "web" {
      group "app" {
        update {
          auto_revert = false
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.auto-revert" {
    line = 4
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        update {
          auto_revert = true
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "auto_revert of the job" {
  job = <<-EOT
    job "web" {
      update {
        auto_revert = true
      }

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "the group says otherwise" {
  job = <<-EOT
    job "web" {
      update {
        auto_revert = true
      }

      group "app" {
        update {
          auto_revert = false
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.auto-revert" {
    line = 8
  }

  fixed = <<-EOT
    job "web" {
      update {
        auto_revert = true
      }

      group "app" {
        update {
          auto_revert = true
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "a batch job has no deployments" {
  job = <<-EOT
    job "web" {
      type = "batch"

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "deployments turned off" {
  job = <<-EOT
    job "web" {
      group "app" {
        update {
          max_parallel = 0
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.deployments" {
    line = 4
  }
}

test "all at once" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        update {
          auto_revert = true
          max_parallel = 2
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.rolling" {
    line = 7
  }
}

test "all but one at once" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 3

        update {
          auto_revert = true
          max_parallel = 2
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "one of one" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 1

        update {
          auto_revert = true
          max_parallel = 1
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "all at once, after canaries" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        update {
          auto_revert = true
          max_parallel = 2
          canary       = 1
          auto_promote = true
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "canaries that wait" {
  job = <<-EOT
    job "web" {
      group "app" {
        update {
          auto_revert = true
          canary = 1
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.promotion" {
    line    = 2
    enforce = "warn"
  }
}

test "health for a moment" {
  job = <<-EOT
    job "web" {
      group "app" {
        update {
          auto_revert = true
          min_healthy_time = "4s"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.healthy-time" {
    line    = 5
    enforce = "warn"
  }
}

test "health for long enough" {
  job = <<-EOT
    job "web" {
      group "app" {
        update {
          auto_revert = true
          min_healthy_time = "5s"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "health for as long as the team wants" {
  job = <<-EOT
    job "web" {
      group "app" {
        update {
          auto_revert = true
          min_healthy_time = "30s"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    min_healthy_time = "31s"
  }

  finding "rule.healthy-time" {
    line    = 5
    enforce = "warn"
  }
}

test "checks that nobody looks at" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"

          check {
            type     = "http"
            path     = "/health"
            interval = "10s"
            timeout  = "2s"
          }
        }

        update {
          auto_revert = true
          health_check = "task_states"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.health-check" {
    line = 21
  }
}

test "one check that nobody looks at" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"

          check {
            type     = "http"
            path     = "/health"
            interval = "10s"
            timeout  = "2s"
          }
        }

        service {
          name = "other"
          port = "http"
        }

        update {
          auto_revert = true
          health_check = "task_states"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.health-check" {
    line = 26
  }
}

test "no checks to look at" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
        }

        update {
          auto_revert = true
          health_check = "task_states"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "checks" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"

          check {
            type     = "http"
            path     = "/health"
            interval = "10s"
            timeout  = "2s"
          }
        }

        update {
          auto_revert = true
          health_check = "checks"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

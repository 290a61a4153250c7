test "a service that dies at once" {
  example = "breaks"
  job     = <<-EOT
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

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.group-delay" {
    line    = 2
    enforce = "warn"
    message = "callers still know group app when its tasks are killed; set shutdown_delay = \"5s\""
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        shutdown_delay = "5s"

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

test "a service that leaves first" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        shutdown_delay = "5s"

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

test "the delay of the team" {
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
    delay = "12s"
  }

  finding "rule.group-delay" {
    line    = 2
    enforce = "warn"
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        shutdown_delay = "12s"

        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
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

test "a task that leaves first" {
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

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          shutdown_delay = "5s"
        }
      }
    }
  EOT
}

test "one of two tasks that leaves first" {
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

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          shutdown_delay = "1s"
        }

        task "log" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "a second is enough for a group" {
  job = <<-EOT
    job "web" {
      group "app" {
        shutdown_delay = "1s"

        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
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

test "a second is enough" {
  job = <<-EOT
    job "web" {
      group "app" {
        shutdown_delay = "1s"

        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          shutdown_delay = "1s"

          service {
            name = "web"
            port = "http"
          }
        }
      }
    }
  EOT
}

test "no time to leave" {
  job = <<-EOT
    job "web" {
      group "app" {
        shutdown_delay = "0s"

        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
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

  finding "rule.group-delay" {
    line    = 3
    enforce = "warn"
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        shutdown_delay = "5s"

        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
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

test "no port, nobody calls" {
  job = <<-EOT
    job "web" {
      group "app" {
        service {
          name = "web"
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          service {
            name = "web-task"
          }
        }
      }
    }
  EOT
}

test "a service of a task" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          service {
            name = "web"
            port = "http"
          }
        }
      }
    }
  EOT

  finding "rule.task-delay" {
    line    = 7
    enforce = "warn"
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        task "app" {
          driver = "docker"
          shutdown_delay = "5s"

          config {
            image = "nginx:1.27.4"
          }

          service {
            name = "web"
            port = "http"
          }
        }
      }
    }
  EOT
}

test "a service of a task that leaves first" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          shutdown_delay = "5s"

          service {
            name = "web"
            port = "http"
          }
        }
      }
    }
  EOT
}

test "batch jobs are not called" {
  job = <<-EOT
    job "web" {
      type = "batch"

      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
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

test "system jobs are" {
  job = <<-EOT
    job "web" {
      type = "system"

      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
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

  finding "rule.group-delay" {
    line    = 4
    enforce = "warn"
  }

  fixed = <<-EOT
    job "web" {
      type = "system"

      group "app" {
        shutdown_delay = "5s"

        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
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

test "more time than there is" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          kill_timeout = "31s"
        }
      }
    }
  EOT

  finding "rule.kill-timeout" {
    line = 10
  }
}

test "all the time there is" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          kill_timeout = "30s"
        }
      }
    }
  EOT
}

test "clients that wait longer" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          kill_timeout = "2m"
        }
      }
    }
  EOT
  variables = {
    max_kill_timeout = "2m"
  }
}

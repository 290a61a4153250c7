test "a port without a check is refused" {
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

  finding "rule.group-service" {
    line    = 7
    message = "the service web has a port and no check; add a check block of type http, tcp or grpc"
  }
}

test "a port with a check" {
  example = "holds"
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
}

test "a service without a port" {
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

test "a service in the mesh" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          mode = "bridge"
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
          connect {
            sidecar_service {}
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

  finding "rule.task-service" {
    line = 14
  }
}

test "a service of a task in the mesh" {
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
            connect {
              native = true
            }
          }
        }
      }
    }
  EOT
}

test "a check that overtakes itself" {
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
            timeout  = "11s"
          }
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          service {
            name = "web"
            port = "http"

            check {
              type     = "http"
              path     = "/health"
              interval = "10s"
              timeout  = "11s"
            }
          }
        }
      }
    }
  EOT

  finding "rule.group-timeout" {
    line = 11
  }

  finding "rule.task-timeout" {
    line = 30
  }
}

test "a check that just does not" {
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
            timeout  = "10s"
          }
        }

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          service {
            name = "web"
            port = "http"

            check {
              type     = "http"
              path     = "/health"
              interval = "10s"
              timeout  = "10s"
            }
          }
        }
      }
    }
  EOT
}

test "no time to start" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
          check_restart {
            limit = 1
          }

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

          service {
            name = "web"
            port = "http"
            check_restart {
              limit = 1
            }

            check {
              type     = "http"
              path     = "/health"
              interval = "10s"
              timeout  = "2s"
            }
          }
        }
      }
    }
  EOT

  finding "rule.group-grace" {
    line    = 14
    enforce = "warn"
  }

  finding "rule.task-grace" {
    line    = 36
    enforce = "warn"
  }
}

test "time to start" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
          check_restart {
            limit = 3
            grace = "90s"
          }

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

          service {
            name = "web"
            port = "http"
            check_restart {
              limit = 1
              grace = "90s"
            }

            check {
              type     = "http"
              path     = "/health"
              interval = "10s"
              timeout  = "2s"
            }
          }
        }
      }
    }
  EOT
  variables = {
    min_grace = "90s"
  }
}

test "check_restart that restarts nothing" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {}
        }

        service {
          name = "web"
          port = "http"
          check_restart {
            limit = 0
          }

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

          service {
            name = "web"
            port = "http"
            check_restart {
              limit = 0
            }

            check {
              type     = "http"
              path     = "/health"
              interval = "10s"
              timeout  = "2s"
            }
          }
        }
      }
    }
  EOT
}

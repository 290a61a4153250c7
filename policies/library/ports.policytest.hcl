test "a static port is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {
            static = 8080
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

  finding "rule.static" {
    line    = 5
    message = "port http of group app is 8080 on the node, which one allocation can have; remove static and use to = 8080, or list the port or the job in the policy"
  }
}

test "a dynamic port" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {
            to = 8080
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

test "a port that is agreed on" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {
            static = 8080
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
  variables = {
    allowed_ports = [80, 8080]
  }
}

test "another port" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          port "http" {
            static = 8081
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
  variables = {
    allowed_ports = [80, 8080]
  }

  finding "rule.static" {
    line = 5
  }
}

test "a job that may" {
  job = <<-EOT
    job "ingress-1.eu" {
      group "app" {
        network {
          port "http" {
            static = 8080
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
  variables = {
    allowed_jobs = ["agent", "ingress-*.eu"]
  }
}

test "a name like that of a job that may" {
  job = <<-EOT
    job "ingress-1-eu" {
      group "app" {
        network {
          port "http" {
            static = 8080
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
  variables = {
    allowed_jobs = ["agent", "ingress-*.eu"]
  }

  finding "rule.static" {
    line = 5
  }
}

test "system jobs may" {
  job = <<-EOT
    job "web" {
      type = "system"

      group "app" {
        network {
          port "http" {
            static = 8080
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

test "batch jobs may not" {
  job = <<-EOT
    job "web" {
      type = "batch"

      group "app" {
        network {
          port "http" {
            static = 8080
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

  finding "rule.static" {
    line = 7
  }
}

test "sysbatch jobs may not" {
  job = <<-EOT
    job "web" {
      type = "sysbatch"

      group "app" {
        network {
          port "http" {
            static = 8080
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

  finding "rule.static" {
    line = 7
  }
}

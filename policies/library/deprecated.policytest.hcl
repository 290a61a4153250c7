test "cron is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      type = "batch"

      periodic {
        cron             = "@daily"
        prohibit_overlap = true
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

  finding "rule.cron" {
    line    = 5
    message = "periodic.cron is deprecated; write crons = [\"@daily\"]"
  }

  fixed = <<-EOT
    job "web" {
      type = "batch"

      periodic {
        prohibit_overlap = true
        crons            = ["@daily"]
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

test "crons" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      type = "batch"

      periodic {
        crons            = ["@daily"]
        prohibit_overlap = true
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

test "not periodic" {
  job = <<-EOT
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
}

test "max_client_disconnect" {
  job = <<-EOT
    job "web" {
      group "app" {
        max_client_disconnect = "1h"

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.disconnect" {
    line = 3
  }
}

test "stop_after_client_disconnect" {
  job = <<-EOT
    job "web" {
      group "app" {
        stop_after_client_disconnect = "1h"

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.disconnect" {
    line = 3
  }
}

test "prevent_reschedule_on_lost" {
  job = <<-EOT
    job "web" {
      group "app" {
        prevent_reschedule_on_lost = true

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.disconnect" {
    line = 3
  }
}

test "a disconnect block" {
  job = <<-EOT
    job "web" {
      group "app" {
        disconnect {
          lost_after = "1h"
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

test "the network of a task, and what goes with it" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"

            port_map {
              http = 80
            }
          }

          resources {
            iops = 10

            network {
              port "http" {}
            }
          }
        }
      }
    }
  EOT

  finding "rule.task-network" {
    line = 17
  }

  finding "rule.port-map" {
    line = 9
  }

  finding "rule.iops" {
    line = 15
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"

            port_map {
              http = 80
            }
          }

          resources {
            network {
              port "http" {}
            }
          }
        }
      }
    }
  EOT
}

test "the same word in another driver" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"

            port_map {
              http = 80
            }
          }
        }
      }
    }
  EOT
}

test "mbits" {
  job = <<-EOT
    job "web" {
      group "app" {
        network {
          mbits = 10
          port "http" {}
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

  finding "rule.mbits" {
    line = 4
  }

  fixed = <<-EOT
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
        }
      }
    }
  EOT
}

test "vault_grace" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data        = "x"
            destination = "local/x"
            vault_grace = "5m"
          }
        }
      }
    }
  EOT

  finding "rule.vault-grace" {
    line = 13
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data        = "x"
            destination = "local/x"
          }
        }
      }
    }
  EOT
}

test "a vault_grace of nothing" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data        = "x"
            destination = "local/x"
            vault_grace = "0s"
          }
        }
      }
    }
  EOT
}

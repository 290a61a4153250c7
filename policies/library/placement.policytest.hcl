test "the highest priority is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      priority = 100

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

  finding "rule.priority" {
    line    = 2
    message = "priority 100 is above 80, which is kept for the platform; lower it, or list the job in allowed_jobs"
  }
}

test "an ordinary priority" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      priority = 50

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

test "the cap itself" {
  job = <<-EOT
    job "web" {
      priority = 60

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
  variables = {
    max_priority = 60
  }
}

test "above the cap" {
  job = <<-EOT
    job "web" {
      priority = 61

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
  variables = {
    max_priority = 60
  }

  finding "rule.priority" {
    line = 2
  }
}

test "all pools" {
  job = <<-EOT
    job "web" {
      node_pool = "all"

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

  finding "rule.node-pool" {
    line = 2
  }
}

test "one pool" {
  job = <<-EOT
    job "web" {
      node_pool = "gpu"

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

test "all pools for a system job" {
  job = <<-EOT
    job "web" {
      type = "system"

      node_pool = "all"

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

test "all pools for a job that runs everywhere once" {
  job = <<-EOT
    job "web" {
      type = "sysbatch"

      node_pool = "all"

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

test "a datacenter that nobody knows" {
  job = <<-EOT
    job "web" {
      datacenters = ["dc1", "dc9"]

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
  variables = {
    datacenters = ["dc1", "dc2"]
  }

  finding "rule.datacenters" {
    line = 2
  }
}

test "known datacenters" {
  job = <<-EOT
    job "web" {
      datacenters = ["dc2"]

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
  variables = {
    datacenters = ["dc1", "dc2"]
  }
}

test "no datacenter" {
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
  variables = {
    datacenters = ["dc1", "dc2"]
  }

  finding "rule.datacenters" {
    line = 1
  }
}

test "any datacenter" {
  job = <<-EOT
    job "web" {
      datacenters = ["*"]

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

test "a job of the platform" {
  job = <<-EOT
    job "node-agent.eu" {
      priority    = 100
      node_pool   = "all"
      datacenters = ["dc9"]

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
  variables = {
    datacenters  = ["dc1"]
    allowed_jobs = ["csi", "node-*.eu"]
  }
}

test "a name like that of a job of the platform" {
  job = <<-EOT
    job "node-agent-eu" {
      priority    = 100
      node_pool   = "all"
      datacenters = ["dc9"]

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
  variables = {
    datacenters  = ["dc1"]
    allowed_jobs = ["csi", "node-*.eu"]
  }

  finding "rule.priority" {
    line = 2
  }

  finding "rule.node-pool" {
    line = 3
  }

  finding "rule.datacenters" {
    line = 4
  }
}

test "most of a node is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu    = 500
            memory = 65536
          }
        }
      }
    }
  EOT

  finding "rule.memory" {
    line    = 12
    message = "task app asks for 65536 MB of memory; at most 16384 are allowed. Ask for less, or split the work over more allocations"
  }
}

test "what it needs" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu    = 500
            memory = 256
          }
        }
      }
    }
  EOT
}

test "Nomad's defaults" {
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

  finding "rule.stated" {
    line    = 3
    enforce = "warn"
  }
}

test "one of the defaults" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu = 200
          }
        }
      }
    }
  EOT
}

test "the other of the defaults" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            memory = 200
          }
        }
      }
    }
  EOT
}

test "the caps themselves" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu    = 1000
            memory = 512
          }
        }
      }
    }
  EOT
  variables = {
    max_cpu    = 1000
    max_memory = 512
  }
}

test "above the caps" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu    = 1001
            memory = 513
          }
        }
      }
    }
  EOT
  variables = {
    max_cpu    = 1000
    max_memory = 512
  }

  finding "rule.cpu" {
    line = 11
  }

  finding "rule.memory" {
    line = 12
  }
}

test "cores" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cores  = 4
            memory = 512
          }
        }
      }
    }
  EOT
  variables = {
    max_cores = 4
  }
}

test "too many cores" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cores  = 5
            memory = 512
          }
        }
      }
    }
  EOT
  variables = {
    max_cores = 4
  }

  finding "rule.cpu" {
    line = 11
  }
}

test "as much again" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu        = 200
            memory     = 256
            memory_max = 512
          }
        }
      }
    }
  EOT
  variables = {
    max_oversubscription = 2
  }
}

test "more than as much again" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu        = 200
            memory     = 256
            memory_max = 513
          }
        }
      }
    }
  EOT
  variables = {
    max_oversubscription = 2
  }

  finding "rule.memory-max" {
    line = 13
  }
}

test "without a bound" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu        = 200
            memory     = 256
            memory_max = -1
          }
        }
      }
    }
  EOT

  finding "rule.memory-max" {
    line = 13
  }
}

test "memory_max of nothing is none" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          resources {
            cpu        = 200
            memory     = 256
            memory_max = 0
          }
        }
      }
    }
  EOT
}

test "three on one node" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        count = 3

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.spread" {
    line    = 2
    enforce = "warn"
    message = "all 3 allocations of group app may stand on one node; add spread { attribute = \"$${node.unique.id}\" } or a distinct_hosts constraint"
  }
}

test "three that are spread" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        count = 3

        spread {
          attribute = "$${node.unique.id}"
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

test "one is on one node" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 1

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

test "a spread of the job" {
  job = <<-EOT
    job "web" {
      spread {
        attribute = "$${node.unique.id}"
      }

      group "app" {
        count = 2

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

test "distinct hosts" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        constraint {
          operator = "distinct_hosts"
          value    = "true"
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

test "distinct hosts of the job" {
  job = <<-EOT
    job "web" {
      constraint {
        operator = "distinct_hosts"
        value    = "true"
      }

      group "app" {
        count = 2

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

test "distinct zones" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        constraint {
          operator  = "distinct_property"
          attribute = "$${meta.zone}"
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

test "another constraint" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        constraint {
          attribute = "$${attr.kernel.name}"
          value     = "linux"
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

  finding "rule.spread" {
    line    = 2
    enforce = "warn"
  }
}

test "a static port keeps them apart" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        network {
          port "http" {
            static = 8080
          }

          port "metrics" {}
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

test "dynamic ports do not" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

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

  finding "rule.spread" {
    line    = 5
    enforce = "warn"
  }
}

test "batch jobs may" {
  job = <<-EOT
    job "web" {
      type = "batch"

      group "app" {
        count = 2

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

test "one is not enough" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 1

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
    min_count = 2
  }

  finding "rule.count" {
    line = 3
  }
}

test "two are enough" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        spread {
          attribute = "$${node.unique.id}"
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
    min_count = 2
  }
}

test "none is on purpose" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 0

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
    min_count = 2
  }
}

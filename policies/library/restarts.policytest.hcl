test "a task that stays where it fails" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        restart {
          mode = "delay"
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

  finding "rule.moves-on" {
    line    = 7
    enforce = "warn"
    message = "task app is restarted on its node for ever and never rescheduled; set mode = \"fail\" in its restart block"
  }
}

test "a task that moves on" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        restart {
          attempts = 3
          delay    = "20s"
          mode     = "fail"
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

test "a batch job may stay" {
  job = <<-EOT
    job "web" {
      type = "batch"

      group "app" {
        restart {
          mode = "delay"
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

test "a service that is never rescheduled" {
  job = <<-EOT
    job "web" {
      group "app" {
        reschedule {
          attempts  = 0
          unlimited = false
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

  finding "rule.rescheduled" {
    line    = 5
    enforce = "warn"
  }
}

test "a service that is rescheduled once" {
  job = <<-EOT
    job "web" {
      group "app" {
        reschedule {
          attempts  = 1
          interval  = "1h"
          unlimited = false
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

test "a batch job that is not rescheduled" {
  job = <<-EOT
    job "web" {
      type = "batch"

      group "app" {
        reschedule {
          attempts  = 0
          unlimited = false
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

test "a batch job without end" {
  job = <<-EOT
    job "web" {
      type = "batch"

      group "app" {
        reschedule {
          unlimited = true
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

  finding "rule.batch-gives-up" {
    line    = 6
    enforce = "warn"
  }
}

test "a service without end" {
  job = <<-EOT
    job "web" {
      group "app" {
        reschedule {
          unlimited = true
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

test "a system job" {
  job = <<-EOT
    job "web" {
      type = "system"

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

test "no pause" {
  job = <<-EOT
    job "web" {
      group "app" {
        restart {
          delay = "900ms"
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

  finding "rule.pause" {
    line = 7
  }
}

test "a short pause" {
  job = <<-EOT
    job "web" {
      group "app" {
        restart {
          delay = "1s"
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

test "a longer pause is wanted" {
  job = <<-EOT
    job "web" {
      group "app" {
        restart {
          delay = "9s"
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
    min_delay = "10s"
  }

  finding "rule.pause" {
    line = 7
  }
}

test "one restart at once" {
  job = <<-EOT
    job "web" {
      group "app" {
        restart {
          attempts = 1
          delay    = "0s"
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

  finding "rule.pause" {
    line = 8
  }
}

test "no restarts, no pause" {
  job = <<-EOT
    job "web" {
      group "app" {
        restart {
          attempts = 0
          delay    = "0s"
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

test "endless logs are refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          logs {
            max_files     = 100
            max_file_size = 100
          }
        }
      }
    }
  EOT

  finding "rule.logs" {
    line    = 11
    message = "task app keeps 100 log files of 100 MB; keep them within 500 MB"
  }
}

test "bounded logs" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          logs {
            max_files     = 5
            max_file_size = 20
          }
        }
      }
    }
  EOT
}

test "the cap itself" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          logs {
            max_files     = 5
            max_file_size = 20
          }
        }
      }
    }
  EOT
  variables = {
    max_logs = 100
  }
}

test "above the cap" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          logs {
            max_files     = 5
            max_file_size = 20
          }
        }
      }
    }
  EOT
  variables = {
    max_logs = 99
  }

  finding "rule.logs" {
    line = 11
  }
}

test "no logs" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          logs {
            disabled = true
          }
        }
      }
    }
  EOT

  finding "rule.logged" {
    line    = 11
    enforce = "warn"
  }
}

test "a large disk" {
  job = <<-EOT
    job "web" {
      group "app" {
        ephemeral_disk {
          size = 10241
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

  finding "rule.disk" {
    line = 4
  }
}

test "a disk of the cap" {
  job = <<-EOT
    job "web" {
      group "app" {
        ephemeral_disk {
          size = 2000
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
    max_disk = 2000
  }
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
}

test "launches that pile up are refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      type = "batch"

      periodic {
        crons = ["@daily"]
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

  finding "rule.overlap" {
    line    = 1
    message = "the job is launched again while its last launch still runs; set prohibit_overlap = true in its periodic block"
  }
}

test "one launch at a time" {
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

test "said aloud" {
  job = <<-EOT
    job "web" {
      type = "batch"

      periodic {
        crons            = ["@daily"]
        prohibit_overlap = false
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

  finding "rule.overlap" {
    line = 6
  }
}

test "a job that is not periodic" {
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

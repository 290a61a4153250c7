test "-E is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "sudo"
            args    = ["-E", "/opt/app/start.sh"]
          }
        }
      }
    }
  EOT

  finding "sudo.preserve_env" {
    line = 8
  }

  fixed = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "sudo"
            args    = ["/opt/app/start.sh"]
          }
        }
      }
    }
  EOT
}

test "sudo without it" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "sudo"
            args    = ["/opt/app/start.sh"]
          }
        }
      }
    }
  EOT
}

test "-E of another program" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "grep"
            args    = ["-E", "a|b", "local/x"]
          }
        }
      }
    }
  EOT
}

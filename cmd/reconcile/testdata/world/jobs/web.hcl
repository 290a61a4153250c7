# The web job: dies of sudo -E, and is healthy without.
job "web" {
  type = "service"

  update {
    min_healthy_time  = "200ms"
    healthy_deadline  = "5s"
    progress_deadline = "6s"
  }

  group "web" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "web" {
      driver       = "raw_exec"
      kill_timeout = "1s"

      config {
        command = "sudo"
        args    = ["-E", "app", "one"] # one is the port
      }

      env {
        LOG_LEVEL = "info"
      }
    }
  }
}

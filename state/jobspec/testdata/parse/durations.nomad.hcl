# Durations as text and as nanoseconds; numbers and bools as text.
job "durations" {
  priority = "70"
  group "g" {
    count = "2"
    restart {
      interval = 60000000000
      delay    = "1h30m"
      attempts = "4"
    }
    task "t" {
      driver         = "exec"
      leader         = "true"
      user           = 1000
      shutdown_delay = "0s"
      resources {
        cpu = 100.0
      }
      config {}
    }
  }
}

# 4,22 Unsuitable value type
job "a" {
  group "g" {
    shutdown_delay = "5 minutes"
  }
}

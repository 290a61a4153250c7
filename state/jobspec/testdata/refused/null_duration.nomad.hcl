# 4,22 Unsuitable value
job "a" {
  group "g" {
    shutdown_delay = null
  }
}

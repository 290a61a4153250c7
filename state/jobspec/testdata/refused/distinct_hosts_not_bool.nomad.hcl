# 4,22 Unsuitable value type
job "a" {
  constraint {
    distinct_hosts = "many"
  }
}

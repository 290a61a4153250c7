source "directory" "jobs" {
  path = "jobs"
}

policies = ["policies"]

settle = "10ms"

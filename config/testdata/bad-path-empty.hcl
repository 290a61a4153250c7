source "directory" "jobs" {
  path = ""
}

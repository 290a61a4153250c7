source "git" "jobs" {
  path = "jobs"
}

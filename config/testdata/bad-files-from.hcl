source "directory" "jobs" {
  files_from = "jobs"
}

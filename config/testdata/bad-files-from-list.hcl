source "directory" "jobs" {
  files_from = ["job", "source"]
}

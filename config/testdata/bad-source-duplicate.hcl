source "directory" "jobs" {
}
source "directory" "jobs" {
  path = "other"
}

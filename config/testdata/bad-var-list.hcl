source "directory" "jobs" {
  var = { zones = ["a", "b"] }
}

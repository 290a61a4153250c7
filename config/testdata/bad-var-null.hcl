source "directory" "jobs" {
  var = { region = null }
}

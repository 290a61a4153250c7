source "directory" "jobs" {
  var_files = ["a.vars.hcl", 1]
}

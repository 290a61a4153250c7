source "directory" "jobs" {
  var_files = "prod.vars.hcl"
}

source "directory" "jobs" {
  job_vars = ["api.vars.hcl"]
}

source "directory" "jobs" {
  job_vars = {
    "web.hcl" = "web.vars.hcl"
  }
}

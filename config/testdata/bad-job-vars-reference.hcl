source "directory" "jobs" {
  job_vars = { (jobs) = ["a.vars.hcl"] }
}

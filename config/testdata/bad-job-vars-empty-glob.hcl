source "directory" "jobs" {
  job_vars = { "" = ["a.vars.hcl"] }
}

source "directory" "jobs" {
  job_vars = { "api-[*.hcl" = ["api.vars.hcl"] }
}

source "directory" "jobs" {
  job_vars = {
    "api-*.hcl" = ["a.vars.hcl"]
    "*.hcl"     = ["all.vars.hcl"]
    "api-*.hcl" = ["b.vars.hcl"]
  }
}

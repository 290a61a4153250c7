source "nomad" "running" {
  job  = ["web"]
  path = "jobs"
}

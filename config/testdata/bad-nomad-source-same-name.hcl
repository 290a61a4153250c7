source "directory" "jobs" {}

source "nomad" "jobs" {
  job = ["*"]
}

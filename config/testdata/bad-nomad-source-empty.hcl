source "nomad" "running" {
  job = []
}

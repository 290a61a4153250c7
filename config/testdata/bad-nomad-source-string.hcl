source "nomad" "running" {
  job = "web"
}

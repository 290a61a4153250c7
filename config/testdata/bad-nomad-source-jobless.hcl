source "nomad" "running" {
  namespace = ["default"]
}

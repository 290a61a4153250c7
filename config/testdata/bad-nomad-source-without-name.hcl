source "nomad" "" {
  job = ["*"]
}

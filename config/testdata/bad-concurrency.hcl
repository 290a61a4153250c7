limits {
  concurrency = 0
  max_changes = 1.5
}

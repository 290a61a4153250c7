limit {
  concurrency = 2
}

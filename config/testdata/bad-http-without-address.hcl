http {
  pprof = true
}

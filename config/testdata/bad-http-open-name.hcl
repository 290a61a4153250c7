http {
  address = "reconcile.example.com:9464"
  pprof   = true
}

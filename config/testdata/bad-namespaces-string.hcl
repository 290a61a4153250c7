nomad {
  namespaces = "default"
}

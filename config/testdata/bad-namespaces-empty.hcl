nomad {
  namespaces = []
}

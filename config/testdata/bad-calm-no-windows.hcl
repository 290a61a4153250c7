calm {
  window = []
}

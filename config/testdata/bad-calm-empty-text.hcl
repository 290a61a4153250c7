calm {
  window = ""
}

calm {
  window = "office"
}

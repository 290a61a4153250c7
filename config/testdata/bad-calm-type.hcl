calm {
  window = 9
}

calm {
  window = ["Mon 09:00-17:00", 9]
}

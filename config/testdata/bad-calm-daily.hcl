calm {
  window = "Daily 09:00-17:00"
}

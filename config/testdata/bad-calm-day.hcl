calm {
  window = "Monday-Fri 09:00-17:00"
}

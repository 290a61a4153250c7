calm {
  window = "Mon-Fri 9:00-17:00"
}

calm {
  window = "Mon-Fri 09:00-09:00"
}

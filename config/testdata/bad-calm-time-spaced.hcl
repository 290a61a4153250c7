calm {
  window = "Mon-Fri 09:00 - 17:00"
}

calm {
  window = "Mon-Fri 09:00"
}

calm {
  window = "Mon-Fri 24:00-06:00"
}

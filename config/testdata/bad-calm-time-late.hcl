calm {
  window = "Mon-Fri 09:00-25:00"
}

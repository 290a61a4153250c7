calm {
  window = "Mon-Fri 9AM-5PM"
}

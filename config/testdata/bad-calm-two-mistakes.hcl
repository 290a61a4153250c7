calm {
  window = [
    "Mon-Fri 09:00-17:00",
    "Sat 9-17",
    "Sun 09:00-17:00 Berlin",
  ]
}

calm {
  window = [
    "Mon-Fri 00:00-24:00 UTC",
    "Fri-Mon 23:00-22:59 Europe/Berlin",
    "Sat-Sun 12:00-12:01 UTC",
    "daily 20:00-22:30 UTC",
  ]
}

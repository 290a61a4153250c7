calm {
  window = "Mo-Fr 09:00-17:00"
}

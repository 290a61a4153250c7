calm {
  window = "09:00-17:00"
}

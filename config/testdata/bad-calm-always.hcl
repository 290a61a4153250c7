calm {
  window = "daily 00:00-24:00"
}

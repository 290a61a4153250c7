calm {
  window = "Sat,Sun"
}

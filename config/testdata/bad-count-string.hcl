state {
  keep = "20"
}

state {
  keep = 0
}

state {
}
state {
  keep = 3
}

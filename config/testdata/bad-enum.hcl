sync {
  fix = "aply"
}

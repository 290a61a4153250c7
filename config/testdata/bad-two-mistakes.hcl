interval = 5

sync {
  create = "yes"
}

backup {
  beside = "yes"
}

library {
  enforce = "warn"
}

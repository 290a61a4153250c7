library "images" {
  exeption {
    reason = "later"
  }
}

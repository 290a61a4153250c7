library "images" {
  enforce = "warm"
  fix     = "yes"
}

library "images" {}
library "images" {
  enforce = "warn"
}

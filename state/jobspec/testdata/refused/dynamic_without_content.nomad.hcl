# 3,3 Missing dynamic content block
job "a" {
  dynamic "group" {
    for_each = [1]
    labels   = ["a"]
  }
}

# 4,16 Invalid dynamic for_each value
job "a" {
  dynamic "group" {
    for_each = "x"
    labels   = ["a"]
    content {}
  }
}

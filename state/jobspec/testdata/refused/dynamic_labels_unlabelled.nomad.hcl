# 5,5 Unsupported argument
job "a" {
  dynamic "constraint" {
    for_each = [1]
    labels   = ["x"]
    content {}
  }
}

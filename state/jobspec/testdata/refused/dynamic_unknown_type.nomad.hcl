# 3,11 Unsupported block
job "a" {
  dynamic "grup" {
    for_each = [1]
    content {}
  }
}

# 3,3 Missing required argument
job "a" {
  dynamic "group" {
    labels = ["a"]
    content {}
  }
}

# 5,16 Wrong number of dynamic block labels
job "a" {
  dynamic "group" {
    for_each = [1]
    labels   = []
    content {}
  }
}

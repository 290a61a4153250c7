# 4,5 Ambiguous attribute key
job "a" {
  meta = {
    node.x = 1
  }
}

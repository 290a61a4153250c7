# 3,3 Unsupported argument
job "a" {
  priorty = 50
}

# 3,3 Missing name for group
job "a" {
  group {
  }
}

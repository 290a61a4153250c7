# 4,3 Attribute redefined
job "a" {
  type = "batch"
  type = "service"
}

# 3,17 Unsuitable value type
job "a" {
  datacenters = ["a", null]
}

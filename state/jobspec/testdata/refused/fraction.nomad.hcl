# 4,13 Unsuitable value type
job "a" {
  group "g" {
    count = 1.5
  }
}

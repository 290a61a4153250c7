# 4,5 Unsupported argument
job "a" {
  group "g" {
    network = { mode = "host" }
  }
}

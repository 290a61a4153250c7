# 4,5 Unsupported block
job "a" {
  group "g" {
    taks "t" {}
  }
}

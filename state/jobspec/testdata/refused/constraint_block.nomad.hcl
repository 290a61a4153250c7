# 4,5 Unsupported block
job "a" {
  constraint {
    x {
    }
  }
}

# 4,5 Unsupported argument
job "a" {
  constraint {
    attrbute = "x"
  }
}

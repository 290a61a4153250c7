# 4,5 Missing required argument
job "a" {
  group "g" {
    scaling {
      min = 1
    }
  }
}

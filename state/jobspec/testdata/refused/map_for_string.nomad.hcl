# 6,13 Unsuitable value type
job "a" {
  group "g" {
    task "t" {
      env {
        A = { b = "c" }
      }
    }
  }
}

# 5,7 Missing required argument
job "a" {
  group "g" {
    task "t" {
      lifecycle {
        sidecar = true
      }
    }
  }
}

# 6,9 Unsupported block type
job "a" {
  group "g" {
    task "t" {
      env {
        a {
        }
      }
    }
  }
}

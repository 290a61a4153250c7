# 7,7 Duplicate config block
job "a" {
  group "g" {
    task "t" {
      config {
      }
      config {
      }
    }
  }
}

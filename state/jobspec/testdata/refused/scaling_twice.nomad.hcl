# 8,7 Duplicate scaling block
job "a" {
  group "g" {
    task "t" {
      scaling "cpu" {
        max = 1
      }
      scaling "CPU" {
        max = 2
      }
    }
  }
}

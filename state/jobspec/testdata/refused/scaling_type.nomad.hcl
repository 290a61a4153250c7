# 5,7 Invalid scaling policy type
job "a" {
  group "g" {
    task "t" {
      scaling "cpu" {
        type = "horizontal"
      }
    }
  }
}

# 5,15 Invalid scaling policy name
job "a" {
  group "g" {
    task "t" {
      scaling "disk" {
      }
    }
  }
}

# 4,14 Extraneous label for task
job "a" {
  group "g" {
    task "t" "u" {
    }
  }
}

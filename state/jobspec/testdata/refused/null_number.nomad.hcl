# 5,16 Unsuitable value type
job "a" {
  group "g" {
    task "t" {
      user   = null
      leader = null
    }
  }
}

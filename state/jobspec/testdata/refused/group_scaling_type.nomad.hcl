# 6,14 Invalid group scaling type
job "a" {
  group "g" {
    scaling {
      max  = 1
      type = "vertical_cpu"
    }
  }
}

job "hourly" {
  type = "batch"
  periodic {
    cron = "@hourly"
  }
  group "g" {}
}

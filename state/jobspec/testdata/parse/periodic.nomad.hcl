job "nightly" {
  type = "batch"

  periodic {
    enabled          = true
    crons            = ["0 1 * * *", "0 13 * * *"]
    prohibit_overlap = true
    time_zone        = "Europe/Vienna"
  }

  parameterized {
    payload       = "required"
    meta_required = ["input"]
    meta_optional = ["note"]
  }

  group "g" {
    task "t" {
      driver = "exec"
      dispatch_payload {
        file = "input.json"
      }
    }
  }
}

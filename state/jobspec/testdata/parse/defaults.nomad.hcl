# What the parser itself fills in.
job "defaults" {
  group "g" {
    scaling {
      max = 3
    }
    task "t" {
      driver = "exec"
      template {
        data = "x"
        change_script {
          command       = "/bin/x"
          fail_on_error = false
        }
      }
      vault {}
      identity {
        name = "default"
        env  = true
      }
      constraint {
        attribute = "${attr.x}"
        value     = "y"
      }
      affinity {}
    }
  }
}

test "nobody is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.meta" {
    line    = 1
    message = "the job's meta block lacks owner; add it, so that others know whom to ask"
  }
}

test "an owner" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      meta {
        owner = "team-web"
      }

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "an owner of blanks" {
  job = <<-EOT
    job "web" {
      meta {
        owner = " "
      }

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT

  finding "rule.meta" {
    line = 2
  }
}

test "keys of the team" {
  job = <<-EOT
    job "web" {
      meta {
        owner = "team-web"
        pager = ""
      }

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    required = ["pager", "wiki"]
  }

  finding "rule.meta" {
    line = 2
  }
}

test "nothing is demanded" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    required = []
  }
}

test "an owner that exists" {
  job = <<-EOT
    job "web" {
      meta {
        owner = "team-web"
      }

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    owners = ["team-db", "team-web"]
  }
}

test "the one owner that exists" {
  job = <<-EOT
    job "web" {
      meta {
        owner = "team-wbe"
      }

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    owners = ["team-web"]
  }

  finding "rule.owner" {
    line = 3
  }
}

test "an owner that does not" {
  job = <<-EOT
    job "web" {
      meta {
        owner = "team-wbe"
      }

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    owners = ["team-db", "team-web"]
  }

  finding "rule.owner" {
    line = 3
  }
}

test "no owner is one finding" {
  job = <<-EOT
    job "web" {
      meta {
        wiki = "x"
      }

      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    owners = ["team-web"]
  }

  finding "rule.meta" {
    line = 2
  }
}

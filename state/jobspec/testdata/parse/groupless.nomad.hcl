# Tasks outside of groups, and blocks in the job and in a group for all tasks.
job "groupless" {
  vault {
    role = "job-role"
  }
  secret "job-secret" {
    provider = "nomad"
    path     = "a"
  }
  task "alone" {
    driver = "exec"
    env    = { A = 1 }
    template {
      data = "x"
    }
  }
  group "g" {
    vault {
      role = "group-role"
    }
    secret "group-secret" {
      provider = "vault"
      path     = "b"
    }
    task "bare" {
      driver = "exec"
    }
    task "own" {
      driver = "exec"
      vault {
        role = "own-role"
      }
      secret "own-secret" {
        provider = "vault"
        path     = "c"
      }
    }
  }
  task "second" {
    driver = "exec"
  }
}

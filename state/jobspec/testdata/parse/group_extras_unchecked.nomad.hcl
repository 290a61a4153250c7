# Nomad does not look at mistakes in these two, nor minds a second vault.
job "unchecked" {
  group "g" {
    vault {
      role     = "a"
      mispelt  = true
    }
    vault {
      role = "b"
    }
    task "t" {
      driver = "exec"
    }
  }
}

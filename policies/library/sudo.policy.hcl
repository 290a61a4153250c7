policy "sudo" {
  description = "sudo does not try to keep the caller's environment."
  why         = "sudo -E and --preserve-env need SETENV in sudoers. Where a host does not grant it, sudo refuses the whole command and the task dies at its start, with a line on stderr as the only trace. Jobs ran for months on hosts with an old sudoers line and failed on the first new one. Say what the command needs in its own arguments or in a file that it reads."
  fix         = true

  sudo {
    preserve_env = false
  }
}

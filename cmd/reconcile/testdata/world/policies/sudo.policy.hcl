policy "no-sudo-env" {
  description = "The env block is the task's environment."
  enforce     = "deny"
  fix         = true

  sudo {
    preserve_env = false
  }
}

policy "orchestrator-sudo" {
  description = "The env block is the orchestrator's environment; sudo must not try to preserve the caller's."
  enforce     = "deny"
  fix         = true

  match {
    job = ["orchestrator-*"]
  }

  sudo {
    preserve_env = false
  }
}

rollout "orchestrator" {
  match {
    job = ["orchestrator-*"]
  }
  strategy   = "restart"
  on_failure = "rollback"

  gate "logs" "no-sudo-errors" {
    task    = "orchestrator"
    forbid  = ["^sudo: "]
    require = ["network bridge established successfully"]
    window  = "2s"
  }
}

# What the orchestrator must keep, and how a change to it is brought out.

policy "orchestrator-sudo" {
  description = "The task's user may run the start script without a password and nothing more: sudo must not be asked to preserve the caller's environment."
  enforce     = "deny"
  fix         = true

  match {
    job    = ["orchestrator", "orchestrator-*"]
    driver = ["raw_exec", "exec"]
  }

  sudo {
    preserve_env = false # -E, -nE, --preserve-env, --preserve-env=A,B
  }
}

policy "orchestrator-env" {
  description = "The env block is the orchestrator's environment."
  enforce     = "deny"
  fix         = true

  match {
    job = ["orchestrator", "orchestrator-*"]
  }

  env {
    block    = "required"
    required = ["NODE_ID", "ENVIRONMENT"] # nobody but the author can know these
    defaults = { LOG_LEVEL = "info" }
    values   = { OTEL_SERVICE_NAME = job.id }
  }
}

rollout "orchestrator" {
  match {
    job = ["orchestrator"]
  }

  # The old one holds the ports and the network namespaces until it has ended.
  strategy   = "restart"
  on_failure = "rollback"

  gate "logs" "no-sudo-errors" {
    task    = "orchestrator"
    forbid  = ["^sudo: "]
    require = ["network bridge established successfully"]
    window  = "15s"
  }
}

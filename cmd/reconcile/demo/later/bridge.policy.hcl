policy "orchestrator-bridge" {
  description = "Every orchestrator uses the socat bridge."
  enforce     = "deny"
  fix         = true

  match {
    job = ["orchestrator-*"]
  }

  env {
    values = { BRIDGE = "socat" }
  }
}

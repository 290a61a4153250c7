variable "delay" {
  description = "shutdown_delay that the fix sets"
  type        = string
  default     = "5s"
}

variable "max_kill_timeout" {
  description = "the client's max_kill_timeout, which is 30s where the agent's configuration says nothing"
  type        = string
  default     = "30s"
}

policy "shutdown" {
  description = "Services leave the catalog before they stop, and kill_timeout is one that Nomad keeps."
  why         = "A service is deregistered and killed in the same moment, while callers and load balancers hold its address for seconds: every deployment drops requests. A shutdown_delay puts the two apart, and Nomad itself warns where it is missing. A kill_timeout above the client's max_kill_timeout is cut short without a word: a database that needs two minutes to flush is killed after thirty seconds."
  fix         = true

  match {
    type = ["service", "system"]
  }

  rule "group-delay" {
    description = "a group with services has a shutdown_delay, or one of its tasks has"
    scope       = "group"
    enforce     = "warn"
    when        = anytrue([for service in group.service : service.port != ""])
    assert      = try(seconds(group.shutdown_delay) > 0, false) || anytrue([for task in group.task : seconds(task.shutdown_delay) > 0])
    message     = "callers still know group ${group.name} when its tasks are killed; set shutdown_delay = \"${var.delay}\""
    fix {
      path  = group.shutdown_delay
      value = var.delay
    }
  }

  rule "task-delay" {
    description = "a task with services has a shutdown_delay"
    enforce     = "warn"
    when        = anytrue([for service in task.service : service.port != ""])
    assert      = seconds(task.shutdown_delay) > 0
    message     = "callers still know task ${task.name} when it is killed; set shutdown_delay = \"${var.delay}\""
    fix {
      path  = task.shutdown_delay
      value = var.delay
    }
  }

  rule "kill-timeout" {
    description = "kill_timeout is within what the client allows"
    assert      = seconds(task.kill_timeout) <= seconds(var.max_kill_timeout)
    message     = "task ${task.name} wants ${task.kill_timeout} to end, the client cuts it to ${var.max_kill_timeout}; raise max_kill_timeout there and here in the policy, or end faster"
  }
}

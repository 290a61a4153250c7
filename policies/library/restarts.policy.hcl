variable "min_delay" {
  description = "the least pause between two starts of a task that fails"
  type        = string
  default     = "1s"
}

policy "restarts" {
  description = "Tasks that fail are started again with pauses, and in the end elsewhere."
  why         = "With mode = delay a task that cannot run on its node stays there for ever: a full disk or a lost mount takes the service down although every other node would do. Without rescheduling a dead node takes its services with it. A batch job that is rescheduled without limit fails all night, fills the logs, and looks like work."

  rule "moves-on" {
    description = "a service that cannot run on a node leaves it"
    enforce     = "warn"
    when        = job.type == "service"
    assert      = task.restart.mode != "delay"
    message     = "task ${task.name} is restarted on its node for ever and never rescheduled; set mode = \"fail\" in its restart block"
  }

  rule "rescheduled" {
    description = "services come back on another node"
    scope       = "group"
    enforce     = "warn"
    when        = job.type == "service"
    assert      = group.reschedule.unlimited || group.reschedule.attempts > 0
    message     = "group ${group.name} is never started on another node, not even when its own is lost; remove attempts = 0 and unlimited = false from its reschedule block"
  }

  rule "batch-gives-up" {
    description = "a batch job that keeps failing comes to an end"
    scope       = "group"
    enforce     = "warn"
    when        = job.type == "batch"
    assert      = !group.reschedule.unlimited
    message     = "group ${group.name} of a batch job is rescheduled without end; set unlimited = false and a number of attempts in its reschedule block"
  }

  rule "pause" {
    description = "there is a pause between two starts"
    when        = task.restart.attempts > 0
    assert      = seconds(task.restart.delay) >= seconds(var.min_delay)
    message     = "task ${task.name} is started again ${task.restart.delay} after it fails; set delay to ${var.min_delay} or more in its restart block"
  }
}

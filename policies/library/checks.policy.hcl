variable "min_grace" {
  description = "the least time that check_restart leaves a task to start"
  type        = string
  default     = "5s"
}

policy "checks" {
  description = "Every service with a port has a check that can fail."
  why         = "Without a check a deployment is healthy as soon as the process runs: a release that starts and answers nothing replaced every allocation before anybody noticed. Callers get its address from Consul or Nomad all the while. A check that waits longer than its interval, or restarts a task before it has started, makes outages of its own."

  rule "group-service" {
    description = "services of groups have a check"
    scope       = "group"
    for_each    = group.service
    when        = each.value.port != "" && each.value.connect == null
    assert      = length(each.value.check) > 0
    message     = "the service ${each.value.name} has a port and no check; add a check block of type http, tcp or grpc"
  }

  rule "task-service" {
    description = "services of tasks have a check"
    for_each    = task.service
    when        = each.value.port != "" && each.value.connect == null
    assert      = length(each.value.check) > 0
    message     = "the service ${each.value.name} has a port and no check; add a check block of type http, tcp or grpc"
  }

  rule "group-timeout" {
    description = "a check of a group's service ends before the next one starts"
    scope       = "group"
    for_each    = group.service
    assert      = alltrue([for check in each.value.check : seconds(check.timeout) <= seconds(check.interval)])
    message     = "a check of the service ${each.value.name} has a timeout longer than its interval; make the interval the longer of the two"
  }

  rule "task-timeout" {
    description = "a check of a task's service ends before the next one starts"
    for_each    = task.service
    assert      = alltrue([for check in each.value.check : seconds(check.timeout) <= seconds(check.interval)])
    message     = "a check of the service ${each.value.name} has a timeout longer than its interval; make the interval the longer of the two"
  }

  rule "group-grace" {
    description = "check_restart leaves tasks time to start"
    enforce     = "warn"
    scope       = "group"
    for_each    = group.service
    assert      = alltrue([for check in each.value.check : try(check.check_restart.limit, 0) <= 0 || seconds(check.check_restart.grace) >= seconds(var.min_grace)])
    message     = "check_restart of the service ${each.value.name} counts failures before a task has had ${var.min_grace} to start and restarts it for ever; set grace to what a slow start takes"
  }

  rule "task-grace" {
    description = "check_restart leaves the task time to start"
    enforce     = "warn"
    for_each    = task.service
    assert      = alltrue([for check in each.value.check : try(check.check_restart.limit, 0) <= 0 || seconds(check.check_restart.grace) >= seconds(var.min_grace)])
    message     = "check_restart of the service ${each.value.name} counts failures before the task has had ${var.min_grace} to start and restarts it for ever; set grace to what a slow start takes"
  }
}

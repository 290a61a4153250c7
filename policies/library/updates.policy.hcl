variable "min_healthy_time" {
  description = "the least time that an allocation must be healthy before the next one is replaced"
  type        = string
  default     = "5s"
}

policy "updates" {
  description = "Deployments of services roll, wait for health, and go back by themselves."
  why         = "Without auto_revert a failed deployment stays as it is: half of the allocations run the broken version until a person wakes up. With max_parallel at or above count the first step replaces everything at once, and with 0 there is no deployment at all, so nothing is watched. Canaries that nobody promotes keep the old version in service for days."
  fix         = true

  match {
    type = ["service"]
  }

  rule "auto-revert" {
    description = "a failed deployment goes back to the last stable version"
    scope       = "group"
    when        = group.update.max_parallel > 0
    assert      = group.update.auto_revert
    message     = "a failed deployment of group ${group.name} stays half done; set auto_revert = true"
    fix {
      path  = group.update.auto_revert
      value = true
    }
  }

  rule "deployments" {
    description = "deployments are not turned off"
    scope       = "group"
    assert      = group.update.max_parallel > 0
    message     = "max_parallel = 0 turns deployments off for group ${group.name}: everything is replaced at once and nobody watches; set it to 1 or more"
  }

  rule "rolling" {
    description = "the first step does not replace every allocation"
    scope       = "group"
    when        = group.count > 1 && group.update.canary == 0
    assert      = group.update.max_parallel < group.count
    message     = "max_parallel = ${group.update.max_parallel} replaces all ${group.count} allocations of group ${group.name} at once; set it below count, or use canaries"
  }

  rule "healthy-time" {
    description = "health is more than a moment"
    scope       = "group"
    enforce     = "warn"
    assert      = seconds(group.update.min_healthy_time) >= seconds(var.min_healthy_time)
    message     = "an allocation of group ${group.name} counts as healthy after ${group.update.min_healthy_time}, before a crash at start shows; set min_healthy_time to ${var.min_healthy_time} or more"
  }

  rule "promotion" {
    description = "canaries are promoted by themselves"
    scope       = "group"
    enforce     = "warn"
    when        = group.update.canary > 0
    assert      = group.update.auto_promote
    message     = "the canaries of group ${group.name} wait until a person runs nomad deployment promote; set auto_promote = true if nobody looks at them first"
  }

  rule "health-check" {
    description = "deployments look at the checks that there are"
    scope       = "group"
    when        = anytrue([for service in group.service : length(service.check) > 0])
    assert      = group.update.health_check == "checks"
    message     = "health_check = \"${group.update.health_check}\" makes deployments of group ${group.name} pass over its services' checks; remove the line"
  }
}

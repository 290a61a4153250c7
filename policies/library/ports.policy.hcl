variable "allowed_ports" {
  description = "port numbers that any job may take on its node"
  type        = list(number)
  default     = []
}

variable "allowed_jobs" {
  description = "jobs that may take static ports, such as ingress controllers; globs"
  type        = list(string)
  default     = []
}

policy "ports" {
  description = "Static ports only where they are agreed on."
  why         = "A static port exists once per node: the second job that wants 8080 stays pending with nothing but \"reserved port collision\" to say why, and a rolling update needs a free node for every step. Callers find dynamic ports through the service catalog. System jobs are left alone, since they run once on every node and mostly are what others connect to."

  match {
    type = ["service", "batch", "sysbatch"]
  }

  rule "static" {
    description = "no static port in the group's network block"
    scope       = "group"
    for_each    = group.network[0].port
    when        = !glob(var.allowed_jobs, job.id)
    assert      = each.value.static == 0 || contains(var.allowed_ports, each.value.static)
    message     = "port ${each.key} of group ${group.name} is ${each.value.static} on the node, which one allocation can have; remove static and use to = ${each.value.static}, or list the port or the job in the policy"
  }
}

variable "min_count" {
  description = "the least number of allocations of a service's group; 0 for any"
  type        = number
  default     = 0
}

policy "availability" {
  description = "Services with several allocations do not stand on one node."
  why         = "Nomad packs: it prefers full nodes, and its dislike of two allocations of one group on a node is only a preference. Three allocations that were meant for three nodes ended on one, and its reboot was an outage. A spread over node or zone, or distinct_hosts where there are always enough nodes, keeps them apart."

  match {
    type = ["service"]
  }

  rule "spread" {
    description = "a group with several allocations is spread, or kept on distinct hosts"
    scope       = "group"
    enforce     = "warn"
    when        = group.count > 1
    assert = (
      anytrue([for network in group.network : anytrue([for port in network.port : port.static != 0])]) || # a node has it once
      length(group.spread) > 0 || length(job.spread) > 0 ||
      anytrue([for c in concat(group.constraint, job.constraint) : contains(["distinct_hosts", "distinct_property"], c.operator)])
    )
    message = "all ${group.count} allocations of group ${group.name} may stand on one node; add spread { attribute = \"$${node.unique.id}\" } or a distinct_hosts constraint"
  }

  rule "count" {
    description = "a service has the least number of allocations, if one is asked for"
    scope       = "group"
    when        = group.count > 0
    assert      = group.count >= var.min_count
    message     = "group ${group.name} has ${group.count} ${group.count == 1 ? "allocation" : "allocations"}; run at least ${var.min_count}"
  }
}

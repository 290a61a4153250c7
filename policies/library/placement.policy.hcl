variable "max_priority" {
  description = "the highest priority; what is above is kept for the platform's own jobs"
  type        = number
  default     = 80
}

variable "datacenters" {
  description = "the datacenters that jobs may name; none for any"
  type        = list(string)
  default     = []
}

variable "allowed_jobs" {
  description = "jobs of the platform, which may have any priority and every node; globs"
  type        = list(string)
  default     = []
}

policy "placement" {
  description = "Jobs keep to their nodes and their rank: no pool of all nodes, bounded priority, known datacenters."
  why         = "Where preemption is on, a job of high priority evicts others, so everybody's job drifts to 100 and the platform's own agents lose. The node pool \"all\" passes over the pools that were made to keep machines for someone. A datacenter that does not exist is no error: the job is pending for ever."

  rule "priority" {
    description = "the priority is not that of the platform's own jobs"
    scope       = "job"
    when        = !glob(var.allowed_jobs, job.id)
    assert      = job.priority <= var.max_priority
    message     = "priority ${job.priority} is above ${var.max_priority}, which is kept for the platform; lower it, or list the job in allowed_jobs"
  }

  rule "node-pool" {
    description = "only system jobs run on all pools"
    scope       = "job"
    when        = !contains(["system", "sysbatch"], job.type) && !glob(var.allowed_jobs, job.id)
    assert      = job.node_pool != "all"
    message     = "node_pool = \"all\" places the job on nodes that are kept for others; name its pool, or leave the line out for the default pool"
  }

  rule "datacenters" {
    description = "the datacenters are known, if any are listed"
    scope       = "job"
    when        = length(var.datacenters) > 0 && !glob(var.allowed_jobs, job.id)
    assert      = length(try(job.datacenters, [])) > 0 && alltrue([for dc in try(job.datacenters, []) : contains(var.datacenters, dc)])
    message     = "the job names ${length(try(job.datacenters, [])) > 0 ? "the datacenters ${join(", ", job.datacenters)}" : "no datacenter"}; the known ones are ${join(", ", var.datacenters)}"
  }
}

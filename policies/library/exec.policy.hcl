variable "raw_exec_jobs" {
  description = "jobs that may use raw_exec; globs"
  type        = list(string)
  default     = []
}

variable "root_jobs" {
  description = "jobs whose exec and java tasks may run as root, see the node and add capabilities; globs"
  type        = list(string)
  default     = []
}

variable "allowed_capabilities" {
  description = "capabilities that any exec or java task may add"
  type        = list(string)
  default     = ["net_bind_service"]
}

policy "exec" {
  description = "raw_exec only for the jobs that need it; exec and java not as root, nor in the node's namespaces."
  why         = "raw_exec starts the program as the Nomad agent's own user, mostly root, without a chroot, limits or namespaces: a typo in a path deletes the node's files, and a leak takes the node's memory. Clusters that allowed it for one migration script found a dozen services on it a year later. exec gives the same command a chroot and cgroups."

  rule "raw-exec" {
    description = "raw_exec is only used by the listed jobs"
    assert      = task.driver != "raw_exec" || glob(var.raw_exec_jobs, job.id)
    message     = "task ${task.name} runs with raw_exec, as the agent's user and without isolation; use exec or a container, or list the job in raw_exec_jobs"
  }

  rule "root" {
    description = "exec and java tasks do not run as root"
    when        = contains(["exec", "java"], task.driver) && !glob(var.root_jobs, job.id)
    assert      = !contains(["root", "0"], split(":", task.user)[0])
    message     = "task ${task.name} runs as root; leave user out (nobody) or name a user of its own, or list the job in root_jobs"
  }

  rule "host-namespaces" {
    description = "exec and java tasks have namespaces of their own"
    when        = contains(["exec", "java"], task.driver) && !glob(var.root_jobs, job.id)
    assert      = !try(task.config.pid_mode == "host", false) && !try(task.config.ipc_mode == "host", false)
    message     = "task ${task.name} shares the node's process or IPC namespace and can see what runs there; remove pid_mode and ipc_mode, or list the job in root_jobs"
  }

  rule "capabilities" {
    description = "exec and java tasks add no capability beyond the allowed ones"
    when        = contains(["exec", "java"], task.driver) && !glob(var.root_jobs, job.id)
    assert      = alltrue([for cap in try([for cap in task.config.cap_add : trimprefix(lower(cap), "cap_")], []) : contains(var.allowed_capabilities, cap)])
    message     = "task ${task.name} adds ${join(", ", [for cap in task.config.cap_add : cap if !contains(var.allowed_capabilities, trimprefix(lower(cap), "cap_"))])} to the capabilities that every task has; remove it, or list the job in root_jobs"
  }
}

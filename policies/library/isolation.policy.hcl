variable "allowed_jobs" {
  description = "jobs that may do all this, such as CSI plugins and node agents; globs"
  type        = list(string)
  default     = []
}

variable "allowed_capabilities" {
  description = "capabilities that any container may add"
  type        = list(string)
  default     = ["net_bind_service"]
}

locals {
  drivers = ["docker", "podman", "containerd-driver"]
}

policy "isolation" {
  description = "Containers stay in their container: not privileged, no host namespaces, no extra capabilities."
  why         = "A privileged container is root on the node, and so is whoever finds a hole in its program: all other tasks there, their secrets and Nomad's client token are theirs. Host networking puts every port of the program on the node's addresses, past the group's network and its firewall rules. Most jobs that ask for either needed one capability or one mapped port."

  rule "privileged" {
    description = "no privileged container"
    when        = contains(local.drivers, task.driver) && !glob(var.allowed_jobs, job.id)
    assert      = !try(convert(convert(task.config.privileged, string), bool), false)
    message     = "task ${task.name} is privileged, which is root on the node; remove it and add the capability or device that it needs, or list the job in allowed_jobs"
  }

  rule "capabilities" {
    description = "no capability beyond the allowed ones"
    when        = contains(local.drivers, task.driver) && !glob(var.allowed_jobs, job.id)
    assert      = alltrue([for cap in try([for cap in task.config.cap_add : trimprefix(lower(cap), "cap_")], []) : contains(var.allowed_capabilities, cap)])
    message     = "task ${task.name} adds ${join(", ", [for cap in task.config.cap_add : cap if !contains(var.allowed_capabilities, trimprefix(lower(cap), "cap_"))])} to the capabilities that every container has; remove it, or list the job in allowed_jobs"
  }

  rule "host-network" {
    description = "no container in the node's network namespace"
    when        = contains(local.drivers, task.driver) && !glob(var.allowed_jobs, job.id)
    assert      = !try(task.config.network_mode == "host", false)
    message     = "task ${task.name} uses the node's network; map its ports in the group's network block instead, or list the job in allowed_jobs"
  }

  rule "host-namespaces" {
    description = "no container in the node's process, IPC, UTS or user namespace"
    for_each    = task.config
    when        = contains(["pid_mode", "ipc_mode", "uts_mode", "userns_mode"], each.key) && contains(local.drivers, task.driver) && !glob(var.allowed_jobs, job.id)
    assert      = each.value != "host"
    message     = "task ${task.name} shares a namespace with the node (${each.key}) and can see or signal what runs there; remove it, or list the job in allowed_jobs"
  }

  rule "confinement" {
    description = "seccomp, AppArmor and SELinux stay on"
    when        = contains(local.drivers, task.driver) && !glob(var.allowed_jobs, job.id)
    assert      = !anytrue([for opt in try([for opt in task.config.security_opt : opt], []) : matches("^(seccomp|apparmor)[=:]unconfined$|^label[=:]disable$", opt)])
    message     = "task ${task.name} turns off a kernel confinement (${join(", ", task.config.security_opt)}); give it a profile of its own, or list the job in allowed_jobs"
  }
}

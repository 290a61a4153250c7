variable "forbidden" {
  description = "paths of the node that no container may mount, in their shortest spelling; globs, so /etc/** stands for all below /etc, without itself"
  type        = list(string)
  default = [
    "/", "/bin", "/boot", "/boot/**", "/dev", "/etc", "/etc/**", "/home", "/lib", "/lib64", "/proc", "/proc/**", "/root", "/root/**",
    "/run", "/sbin", "/sys", "/usr", "/var", "/var/lib", "/var/run",
    "/run/docker.sock", "/var/run/docker.sock", "/run/containerd/**", "/run/podman/**",
    "/var/lib/docker", "/var/lib/docker/**", "/var/lib/containers/**", "/var/lib/nomad", "/var/lib/nomad/**", "/opt/nomad", "/opt/nomad/**",
  ]
}

variable "harmless" {
  description = "paths that may be mounted although they are forbidden, as relative ones that leave the task's directory are too; the same notation"
  type        = list(string)
  default = [
    "/etc/localtime", "/etc/timezone", "/etc/ssl/certs", "/etc/ssl/certs/**", "/etc/pki/**", "/etc/ca-certificates", "/etc/ca-certificates/**",
    "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/etc/machine-id", "/etc/os-release",
    "../alloc", "../alloc/**", # what the tasks of a group share
  ]
}

variable "allowed_jobs" {
  description = "jobs that may mount all of these, such as node exporters and log shippers; globs"
  type        = list(string)
  default     = []
}

locals {
  drivers = ["docker", "podman", "containerd-driver"]

  # A relative path begins in the task's directory; one that leaves it can reach
  # anything.
  forbidden = concat(var.forbidden, ["..", "../*"])
}

policy "host-paths" {
  description = "Containers do not mount the node's own files, nor its container runtime's socket."
  why         = "Whoever can talk to docker.sock can start a privileged container, so a mounted socket is root on the node, read-only or not. A writable /etc or / lets a container change the node behind the back of whoever manages it, and the next reboot shows it. Nomad's data directory holds the secrets and tokens of every task on the node."

  rule "volumes" {
    description = "nothing sensitive in volumes"
    for_each    = task.config.volumes
    when        = contains(local.drivers, task.driver) && !glob(var.allowed_jobs, job.id) && can(convert(each.value, string))
    assert      = !glob(local.forbidden, cleanpath(split(":", each.value)[0])) || glob(var.harmless, cleanpath(split(":", each.value)[0]))
    message     = "task ${task.name} mounts ${split(":", each.value)[0]} of the node; use a host volume of its own, a template or an API, or list the job in allowed_jobs"
  }

  rule "mount" {
    description = "nothing sensitive in mount blocks"
    for_each    = task.config.mount
    when        = contains(local.drivers, task.driver) && !glob(var.allowed_jobs, job.id) && try(each.value.type == "bind", false) && can(each.value.source)
    assert      = !glob(local.forbidden, cleanpath(each.value.source)) || glob(var.harmless, cleanpath(each.value.source))
    message     = "task ${task.name} mounts ${each.value.source} of the node; use a host volume of its own, a template or an API, or list the job in allowed_jobs"
  }

  rule "mounts" {
    description = "nothing sensitive in mounts, the older notation"
    for_each    = task.config.mounts
    when        = contains(local.drivers, task.driver) && !glob(var.allowed_jobs, job.id) && try(each.value.type == "bind", false) && can(each.value.source)
    assert      = !glob(local.forbidden, cleanpath(each.value.source)) || glob(var.harmless, cleanpath(each.value.source))
    message     = "task ${task.name} mounts ${each.value.source} of the node; use a host volume of its own, a template or an API, or list the job in allowed_jobs"
  }
}

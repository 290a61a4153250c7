variable "max_logs" {
  description = "MB of log files that one task may keep, its stdout and stderr each"
  type        = number
  default     = 500
}

variable "max_disk" {
  description = "MB of ephemeral disk that a group may ask for"
  type        = number
  default     = 10240
}

policy "disk" {
  description = "Logs and ephemeral disks are bounded, and logs are kept."
  why         = "Nomad does not limit what a task writes: ephemeral_disk is a number for the scheduler, and a task that keeps 10 GB of logs fills the disk that all others on the node share, Nomad's own state among them. Without logs a crash leaves nothing to look at. Data that must last does not belong there at all: it goes with the allocation."

  rule "logs" {
    description = "the kept log files are bounded"
    assert      = task.logs.max_files * task.logs.max_file_size <= var.max_logs
    message     = "task ${task.name} keeps ${task.logs.max_files} log files of ${task.logs.max_file_size} MB; keep them within ${var.max_logs} MB"
  }

  rule "logged" {
    description = "logs are not turned off"
    enforce     = "warn"
    assert      = !task.logs.disabled
    message     = "task ${task.name} leaves no logs; remove disabled = true, or make an exception if another way is in place"
  }

  rule "disk" {
    description = "the ephemeral disk is bounded"
    scope       = "group"
    assert      = group.ephemeral_disk.size <= var.max_disk
    message     = "group ${group.name} asks for ${group.ephemeral_disk.size} MB of ephemeral disk, at most ${var.max_disk} are allowed; use a volume for what must last"
  }
}

variable "max_cpu" {
  description = "MHz of one task"
  type        = number
  default     = 8000
}

variable "max_cores" {
  description = "cores that one task may reserve"
  type        = number
  default     = 8
}

variable "max_memory" {
  description = "MB of one task"
  type        = number
  default     = 16384
}

variable "max_oversubscription" {
  description = "how many times its memory a task's memory_max may be"
  type        = number
  default     = 4
}

policy "resources" {
  description = "Tasks ask for what they need: not the defaults, not a whole node, and no memory_max far above the reservation."
  why         = "A task that asks for half a node leaves a hole that nothing fits into, and its next deployment finds no place while the old allocation runs. One on Nomad's defaults is killed at 300 MB under load, or was never measured. Memory beyond the reservation is not counted by the scheduler: when every task of a node grows towards a high memory_max, the kernel picks which dies."

  rule "cpu" {
    description = "CPU and cores within the cap"
    assert      = task.resources.cpu <= var.max_cpu && task.resources.cores <= var.max_cores
    message     = "task ${task.name} asks for ${task.resources.cpu > 0 ? "${task.resources.cpu} MHz; at most ${var.max_cpu}" : "${task.resources.cores} cores; at most ${var.max_cores}"} are allowed. Ask for less, or split the work over more allocations"
  }

  rule "memory" {
    description = "memory within the cap"
    assert      = task.resources.memory <= var.max_memory
    message     = "task ${task.name} asks for ${task.resources.memory} MB of memory; at most ${var.max_memory} are allowed. Ask for less, or split the work over more allocations"
  }

  rule "memory-max" {
    description = "memory_max is bounded, and near the reservation"
    when        = task.resources.memory_max != null
    assert      = task.resources.memory_max != -1 && task.resources.memory_max <= task.resources.memory * var.max_oversubscription
    message     = "task ${task.name} reserves ${task.resources.memory} MB and may take ${task.resources.memory_max == -1 ? "all of the node's memory" : "${task.resources.memory_max} MB"}; reserve what it uses, and keep memory_max within ${var.max_oversubscription} times that"
  }

  rule "stated" {
    description = "CPU and memory are not both Nomad's defaults"
    enforce     = "warn"
    assert      = !(task.resources.cpu == 100 && task.resources.memory == 300)
    message     = "task ${task.name} runs on Nomad's defaults, 100 MHz and 300 MB; say what it needs in its resources block"
  }
}

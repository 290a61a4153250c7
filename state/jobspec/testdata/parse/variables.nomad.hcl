variable "region" {
  type        = string
  default     = "eu"
  description = "where"
}
variable "count" {
  type    = number
  default = "3"
}
variable "untyped" {
  default = ["a", "b"]
}
variable "object" {
  type = object({ name = string, ports = list(number) })
  default = {
    name  = "x"
    ports = [1, "2"]
  }
  validation {
    condition     = length(var.object.ports) == 2
    error_message = "Two ports are needed."
  }
}
variables {
  short = "s"
  flag  = true
}
locals {
  all   = concat(var.untyped, local.more)
  more  = ["${local.name}-c"]
  name  = upper(var.object.name)
  late  = [for i, v in local.all : "${i}:${v}"]
}
job "variables" {
  region   = var.region
  priority = var.count * 10
  group "g" {
    count = var.count
    task "t" {
      driver = "exec"
      config {
        args  = local.late
        ports = var.object.ports
        short = "${var.short}${var.flag}"
        pick  = var.untyped[1]
        key   = var.object["name"]
        splat = [{ a = 1 }, { a = 2 }][*].a
        both  = var.flag && var.count > 2 || false
      }
    }
  }
}

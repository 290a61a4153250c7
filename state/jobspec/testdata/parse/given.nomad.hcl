# Values from given.vars.hcl beside this file.
variable "image" {}
variable "ports" { type = list(number) }
variable "on" {
  type    = bool
  default = false
}
job "given" {
  group "g" {
    task "t" {
      driver = "docker"
      config {
        image = var.image
        ports = var.ports
        on    = var.on
      }
    }
  }
}

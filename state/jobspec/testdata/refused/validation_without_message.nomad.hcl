# 4,3 Missing required argument
variable "a" {
  default = 1
  validation {
    condition = var.a > 0
  }
}
job "a" {}

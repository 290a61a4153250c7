# 5,21 Invalid reference in variable validation
variable "a" {
  default = 1
  validation {
    condition     = var.b > 1
    error_message = "Too small."
  }
}
job "a" {}

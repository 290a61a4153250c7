# 3,13 Invalid value for variable "a"
variable "a" {
  default = 1
  validation {
    condition     = var.a > 1
    error_message = "Too small."
  }
}
job "a" {}

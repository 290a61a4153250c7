# 3,13 Function calls not allowed
variable "a" {
  default = upper("x")
}
job "a" {}

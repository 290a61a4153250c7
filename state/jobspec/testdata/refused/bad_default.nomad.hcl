# 4,13 Invalid value for variable
variable "a" {
  type    = number
  default = "x"
}
job "a" {}

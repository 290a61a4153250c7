# 3,13 Invalid type specification
variable "a" {
  type    = strng
  default = 1
}
job "a" {}

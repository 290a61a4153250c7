# 2,1 Unset variable "image"
variable "image" {}
job "a" {}

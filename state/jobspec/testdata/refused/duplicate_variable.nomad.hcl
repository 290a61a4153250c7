# 3,1 Duplicate variable
variable "a" { default = 1 }
variable "a" { default = 2 }
job "a" {}

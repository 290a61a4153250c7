# 1,1 Missing job block
variable "a" {
  default = 1
}

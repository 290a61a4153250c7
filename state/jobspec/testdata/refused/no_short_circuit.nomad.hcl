# 6,43 Invalid index
variable "a" {
  default = []
}
job "a" {
  all_at_once = length(var.a) > 0 && var.a[0] == "x"
}

# 3,3 Unsupported argument
variable "a" {
  defalt = 1
}
job "a" {}

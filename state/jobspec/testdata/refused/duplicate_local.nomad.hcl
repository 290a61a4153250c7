# 6,3 Duplicate local
locals {
  a = 1
}
locals {
  a = 2
}
job "a" {}

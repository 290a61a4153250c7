# 3,3 Circular locals
locals {
  a = local.b
  b = local.a
}
job "a" {}

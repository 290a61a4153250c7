# 3,13 Undefined variable
job "a" {
  type = var.kind
}

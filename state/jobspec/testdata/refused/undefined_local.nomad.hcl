# 3,15 Undefined local
job "a" {
  type = local.kind
}

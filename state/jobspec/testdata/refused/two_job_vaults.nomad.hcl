# 4,3 Duplicate vault block
job "a" {
  vault {}
  vault {}
}

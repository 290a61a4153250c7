# 6,3 Duplicate update block
job "a" {
  update {
    canary = 1
  }
  update {
    canary = 2
  }
}

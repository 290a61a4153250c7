# 3,3 Unsupported block
job "a" {
  datacenters {
  }
}

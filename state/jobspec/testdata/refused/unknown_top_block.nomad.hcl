# 2,1 Unsupported block
resource "x" "y" {}
job "a" {}

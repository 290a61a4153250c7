# 1,1 Undefined variable
job "a" {}

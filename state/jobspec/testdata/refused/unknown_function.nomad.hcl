# 3,10 Call to unknown function
job "a" {
  type = uper("x")
}

# 3,10 Error in function call
job "a" {
  type = file("none")
}

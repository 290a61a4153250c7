settle = "-1s"

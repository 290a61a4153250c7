interval = "0s"

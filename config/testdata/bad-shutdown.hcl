shutdown = "0s"

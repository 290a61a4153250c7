interval = "5 minutes"

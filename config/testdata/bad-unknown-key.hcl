polices = ["policies"]

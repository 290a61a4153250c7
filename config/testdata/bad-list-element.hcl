policies = ["policies", ""]

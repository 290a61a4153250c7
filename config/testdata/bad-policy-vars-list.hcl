policy_vars = ["max_memory"]

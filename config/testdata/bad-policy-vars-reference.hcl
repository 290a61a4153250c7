policy_vars = { max_memory = memory }

policies = [var.policies]

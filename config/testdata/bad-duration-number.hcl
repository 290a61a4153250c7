settle = 250

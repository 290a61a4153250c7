image = "redis:7"
ports = [1, 2]
on    = true

policy_vars = {
  max_memory = 4096
  max_memory = 8192
}

sync {
  fixes = "apply"
}

sync {
  drift = true
}

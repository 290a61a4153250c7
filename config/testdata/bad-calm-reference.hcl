calm {
  window = [office]
}

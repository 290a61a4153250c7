state {
  keep = 
}

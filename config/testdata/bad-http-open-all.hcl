http {
  address = ":9464"
}

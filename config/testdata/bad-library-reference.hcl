library "images" {
  allowed_registries = [registry]
}

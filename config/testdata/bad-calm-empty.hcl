calm {
}

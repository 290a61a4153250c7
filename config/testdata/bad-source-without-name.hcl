source "directory" "" {
}

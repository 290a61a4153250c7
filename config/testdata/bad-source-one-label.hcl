source "jobs" {
}

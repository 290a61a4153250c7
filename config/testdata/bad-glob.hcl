source "directory" "jobs" {
  include = ["**/*.{hcl"]
}

# Where the job files are, what they must keep, and what may happen by itself.
# Every key: config/README.md

source "directory" "jobs" {
  path = "jobs"
}

policies = ["policies"]

state {
  dir  = ".reconcile" # backups and history of every run
  keep = 20
}

# The agent reports; with "apply" it mends what the policies can mend.
sync {
  fix = "report"
}

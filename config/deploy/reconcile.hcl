# What the service reconcile works on. Every key and its default: config/README.md of
# the project. After a change: systemctl reload reconcile.

# Where Nomad is, and the token, come from /etc/reconcile/environment: NOMAD_ADDR,
# NOMAD_TOKEN and the other NOMAD_* variables. Without it: http://127.0.0.1:4646.
nomad {
  namespaces = ["default"] # "*" for all that the token may see
}

# Where the job files are. The service may write nowhere else: another path stands in
# ReadWritePaths= of the unit too.
source "directory" "jobs" {
  path = "/srv/nomad/jobs"
}

# Which policies hold. A ready-made one; `reconcile explain` lists them all. Policies
# of your own, *.policy.hcl, go into the folder policies beside this file.
library "sudo" {}

# What it may do by itself. To begin with it only reports.
sync {
  fix    = "report" # apply: fix what the policies can fix, in the files and live
  drift  = "report" # correct: register a file's job where it differs from the live one
  create = "report" # register: register jobs that Nomad does not know
  prune  = "report" # stop: stop jobs of ours whose file is gone
}

# When it changes nothing by itself, whatever sync says.
#
# calm {
#   window = "Mon-Fri 09:00-17:00" # or a list; a time zone may follow: UTC, Europe/Berlin
# }

# What it answers on: /metrics, /healthz, /readyz.
http {
  address = "127.0.0.1:9464"
}

# Locks, journals and backups. The unit makes the folder.
state {
  dir = "/var/lib/reconcile"
}

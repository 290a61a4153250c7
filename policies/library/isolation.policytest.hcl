test "privileged is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = true
          }
        }
      }
    }
  EOT

  finding "rule.privileged" {
    line    = 8
    message = "task app is privileged, which is root on the node; remove it and add the capability or device that it needs, or list the job in allowed_jobs"
  }
}

test "an ordinary container" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            ports = ["http"]
          }
        }
      }
    }
  EOT
}

test "not privileged, said aloud" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = false
          }
        }
      }
    }
  EOT
}

test "privileged as a string" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = "true"
          }
        }
      }
    }
  EOT

  finding "rule.privileged" {
    line = 8
  }
}

test "a list of jobs that may" {
  job = <<-EOT
    job "csi-node.nfs" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged   = true
            network_mode = "host"
            pid_mode     = "host"
            cap_add      = ["sys_admin"]
            security_opt = ["seccomp=unconfined"]
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["agent", "csi-*.nfs"]
  }
}

test "a name like that of a job that may" {
  job = <<-EOT
    job "csi-node-nfs" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged   = true
            network_mode = "host"
            pid_mode     = "host"
            cap_add      = ["sys_admin"]
            security_opt = ["seccomp=unconfined"]
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["agent", "csi-*.nfs"]
  }

  finding "rule.privileged" {
    line = 8
  }

  finding "rule.capabilities" {
    line = 11
  }

  finding "rule.host-network" {
    line = 9
  }

  finding "rule.host-namespaces" {
    line = 10
  }

  finding "rule.confinement" {
    line = 12
  }
}

test "words that mean nothing to another driver" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command      = "/bin/app"
            privileged   = true
            network_mode = "host"
            pid_mode     = "host"
            cap_add      = ["sys_admin"]
            security_opt = ["seccomp=unconfined"]
          }
        }
      }
    }
  EOT
}

test "capabilities that are allowed" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            cap_add = ["NET_BIND_SERVICE", "cap_chown"]
          }
        }
      }
    }
  EOT
  variables = {
    allowed_capabilities = ["net_bind_service", "chown"]
  }
}

test "one capability too many" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            cap_add = ["NET_BIND_SERVICE", "NET_ADMIN"]
          }
        }
      }
    }
  EOT

  finding "rule.capabilities" {
    line = 8
  }
}

test "namespaces of its own" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            network_mode = "bridge"
            pid_mode     = "private"
            ipc_mode     = "none"
          }
        }
      }
    }
  EOT
}

test "the IPC namespace" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            ipc_mode = "host"
          }
        }
      }
    }
  EOT

  finding "rule.host-namespaces" {
    line = 8
  }
}

test "the UTS namespace" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            uts_mode = "host"
          }
        }
      }
    }
  EOT

  finding "rule.host-namespaces" {
    line = 8
  }
}

test "the user namespace" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            userns_mode = "host"
          }
        }
      }
    }
  EOT

  finding "rule.host-namespaces" {
    line = 8
  }
}

test "a profile of its own" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            security_opt = ["apparmor=web", "no-new-privileges"]
          }
        }
      }
    }
  EOT
}

test "no SELinux" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            security_opt = ["label=disable"]
          }
        }
      }
    }
  EOT

  finding "rule.confinement" {
    line = 8
  }
}

test "the capability that any container may add" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            cap_add = ["net_bind_service"]
          }
        }
      }
    }
  EOT
}

test "containerd runs containers too" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "containerd-driver"

          config {
            image      = "nginx:1.27.4"
            privileged = true
          }
        }
      }
    }
  EOT

  finding "rule.privileged" {
    line = 8
  }
}

test "podman is a container too" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "podman"

          config {
            image      = "nginx:1.27.4"
            privileged = true
          }
        }
      }
    }
  EOT

  finding "rule.privileged" {
    line = 8
  }
}

test "the job api-1 and the glob api-?" {
  job = <<-EOT
    job "api-1" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = true
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["api-?"]
  }
}

test "the job api-10 and the glob api-?" {
  job = <<-EOT
    job "api-10" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = true
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["api-?"]
  }

  finding "rule.privileged" {
    line = 8
  }
}

test "the job c++ and the globs c++ and a(b" {
  job = <<-EOT
    job "c++" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = true
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["c++", "a(b"]
  }
}

test "the job ccc and the globs c++ and a(b" {
  job = <<-EOT
    job "ccc" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = true
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["c++", "a(b"]
  }

  finding "rule.privileged" {
    line = 8
  }
}

test "privileged as a number" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = 1
          }
        }
      }
    }
  EOT

  finding "rule.privileged" {
    line = 8
  }
}

test "privileged as a number in a string" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = "1"
          }
        }
      }
    }
  EOT

  finding "rule.privileged" {
    line = 8
  }
}

test "not privileged, as a number" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            privileged = 0
          }
        }
      }
    }
  EOT
}

test "a namespace that is no text" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            pid_mode = ["host"]
          }
        }
      }
    }
  EOT
}

test "all namespaces" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            pid_mode = "host"
            ipc_mode = "host"
            uts_mode = "host"
            userns_mode = "host"
          }
        }
      }
    }
  EOT

  finding "rule.host-namespaces" {
    line = 9
  }

  finding "rule.host-namespaces" {
    line = 8
  }

  finding "rule.host-namespaces" {
    line = 11
  }

  finding "rule.host-namespaces" {
    line = 10
  }
}

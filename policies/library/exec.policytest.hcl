test "raw_exec is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "/usr/local/bin/app"
          }
        }
      }
    }
  EOT

  finding "rule.raw-exec" {
    line    = 4
    message = "task app runs with raw_exec, as the agent's user and without isolation; use exec or a container, or list the job in raw_exec_jobs"
  }
}

test "exec" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/usr/local/bin/app"
          }
        }
      }
    }
  EOT
}

test "a list of jobs that may" {
  job = <<-EOT
    job "node-setup.eu" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "/usr/local/bin/app"
          }
        }
      }
    }
  EOT
  variables = {
    raw_exec_jobs = ["agent", "node-*.eu"]
  }
}

test "a name like that of a job that may" {
  job = <<-EOT
    job "node-setup-eu" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "/usr/local/bin/app"
          }
        }
      }
    }
  EOT
  variables = {
    raw_exec_jobs = ["agent", "node-*.eu"]
  }

  finding "rule.raw-exec" {
    line = 4
  }
}

test "root in exec" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          user = "root"

          config {
            command = "/bin/app"
          }
        }
      }
    }
  EOT

  finding "rule.root" {
    line = 6
  }
}

test "root by number, with a group" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "java"

          user = "0:100"

          config {
            command = "/bin/app"
          }
        }
      }
    }
  EOT

  finding "rule.root" {
    line = 6
  }
}

test "another user" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          user = "rooter"

          config {
            command = "/bin/app"
          }
        }
      }
    }
  EOT
}

test "root in a container is not asked about" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          user = "root"
        }
      }
    }
  EOT
}

test "a list of jobs that may be root and see the node" {
  job = <<-EOT
    job "node-agent.eu" {
      group "app" {
        task "app" {
          driver = "exec"

          user = "root"

          config {
            command  = "/bin/app"
            pid_mode = "host"
          }
        }
      }
    }
  EOT
  variables = {
    root_jobs = ["db", "node-*.eu"]
  }
}

test "a name like that of a job that may be root and see the node" {
  job = <<-EOT
    job "node-agent-eu" {
      group "app" {
        task "app" {
          driver = "java"

          user = "root"

          config {
            command  = "/bin/app"
            pid_mode = "host"
          }
        }
      }
    }
  EOT
  variables = {
    root_jobs = ["db", "node-*.eu"]
  }

  finding "rule.root" {
    line = 6
  }

  finding "rule.host-namespaces" {
    line = 10
  }
}

test "the process namespace of the node" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command  = "/bin/app"
            pid_mode = "host"
          }
        }
      }
    }
  EOT

  finding "rule.host-namespaces" {
    line = 8
  }
}

test "the IPC namespace of the node" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command  = "/bin/app"
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

test "namespaces of its own" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command  = "/bin/app"
            pid_mode = "private"
            ipc_mode = "private"
          }
        }
      }
    }
  EOT
}

test "a container is not asked about namespaces here" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image    = "nginx:1.27.4"
            pid_mode = "host"
          }
        }
      }
    }
  EOT
}

test "the job api-1 and the glob api-?" {
  job = <<-EOT
    job "api-1" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "/bin/app"
          }
        }
      }
    }
  EOT
  variables = {
    raw_exec_jobs = ["api-?"]
  }
}

test "the job api-10 and the glob api-?" {
  job = <<-EOT
    job "api-10" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "/bin/app"
          }
        }
      }
    }
  EOT
  variables = {
    raw_exec_jobs = ["api-?"]
  }

  finding "rule.raw-exec" {
    line = 4
  }
}

test "the job c++ and the globs c++ and a(b" {
  job = <<-EOT
    job "c++" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "/bin/app"
          }
        }
      }
    }
  EOT
  variables = {
    raw_exec_jobs = ["c++", "a(b"]
  }
}

test "the job ccc and the globs c++ and a(b" {
  job = <<-EOT
    job "ccc" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "/bin/app"
          }
        }
      }
    }
  EOT
  variables = {
    raw_exec_jobs = ["c++", "a(b"]
  }

  finding "rule.raw-exec" {
    line = 4
  }
}

test "a capability" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            cap_add = ["net_bind_service", "CAP_SYS_ADMIN", "chown"]
          }
        }
      }
    }
  EOT

  finding "rule.capabilities" {
    line    = 8
    message = "task app adds CAP_SYS_ADMIN, chown to the capabilities that every task has; remove it, or list the job in root_jobs"
  }
}

test "a capability of java" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "java"

          config {
            command = "/bin/app"
            cap_add = ["all"]
          }
        }
      }
    }
  EOT

  finding "rule.capabilities" {
    line = 8
  }
}

test "the capability that any task may add" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            cap_add = ["CAP_NET_BIND_SERVICE"]
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
          driver = "exec"

          config {
            command = "/bin/app"
            cap_add = ["cap_chown"]
          }
        }
      }
    }
  EOT
  variables = {
    allowed_capabilities = ["chown"]
  }
}

test "a job that may add capabilities" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            cap_add = ["sys_admin"]
          }
        }
      }
    }
  EOT
  variables = {
    root_jobs = ["web"]
  }
}

test "capabilities of a container are not asked about here" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            cap_add = ["sys_admin"]
          }
        }
      }
    }
  EOT
}

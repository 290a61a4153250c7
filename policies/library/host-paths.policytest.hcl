test "the socket of Docker is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/var/run/docker.sock:/var/run/docker.sock:ro"]
          }
        }
      }
    }
  EOT

  finding "rule.volumes" {
    line    = 8
    message = "task app mounts /var/run/docker.sock of the node; use a host volume of its own, a template or an API, or list the job in allowed_jobs"
  }
}

test "paths of the allocation" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["local/conf:/etc/nginx/conf.d", "/srv/web:/data"]
          }
        }
      }
    }
  EOT
}

test "the root of the node" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/:/host"]
          }
        }
      }
    }
  EOT

  finding "rule.volumes" {
    line = 8
  }
}

test "a slash at the end" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/etc/:/host/etc", "/var/lib/docker/volumes/x:/x"]
          }
        }
      }
    }
  EOT

  finding "rule.volumes" {
    line = 8
  }

  finding "rule.volumes" {
    line = 8
  }
}

test "what is harmless below /etc" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/etc/localtime:/etc/localtime:ro", "/etc/ssl/certs/:/etc/ssl/certs:ro", "/etc/pki/ca/x.pem:/x.pem"]
          }
        }
      }
    }
  EOT
}

test "a list of paths of one's own" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/srv/web:/data", "/etc:/etc"]
          }
        }
      }
    }
  EOT
  variables = {
    forbidden = ["/srv/**"]
    harmless  = []
  }

  finding "rule.volumes" {
    line = 8
  }
}

test "nothing is harmless" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/etc/localtime:/etc/localtime"]
          }
        }
      }
    }
  EOT
  variables = {
    harmless = []
  }

  finding "rule.volumes" {
    line = 8
  }
}

test "a dot is a dot" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/run/dockerXsock:/x", "/etc/aXconf:/x", "/etc/a.conf:/y"]
          }
        }
      }
    }
  EOT
  variables = {
    harmless = ["/etc/a.conf"]
  }

  finding "rule.volumes" {
    line = 8
  }
}

test "podman mounts too" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "podman"

          config {
            image   = "nginx:1.27.4"
            volumes = ["/:/host"]
          }
        }
      }
    }
  EOT

  finding "rule.volumes" {
    line = 8
  }
}

test "containerd mounts too" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "containerd-driver"

          config {
            image  = "nginx:1.27.4"
            mounts = [{ type = "bind", source = "/", target = "/host" }]
          }
        }
      }
    }
  EOT

  finding "rule.mounts" {
    line = 8
  }
}

test "a volume that is no text" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = [["/:/host"]]
          }
        }
      }
    }
  EOT
}

test "a list of jobs that may" {
  job = <<-EOT
    job "node-exporter.eu" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/:/host"]
            mounts  = [{ type = "bind", source = "/", target = "/host2" }]

            mount {
              type   = "bind"
              source = "/"
              target = "/host1"
            }
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["agent", "node-*.eu"]
  }
}

test "a name like that of a job that may" {
  job = <<-EOT
    job "node-exporter-eu" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/:/host"]
            mounts  = [{ type = "bind", source = "/", target = "/host2" }]

            mount {
              type   = "bind"
              source = "/"
              target = "/host1"
            }
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["agent", "node-*.eu"]
  }

  finding "rule.volumes" {
    line = 8
  }

  finding "rule.mount" {
    line = 13
  }

  finding "rule.mounts" {
    line = 9
  }
}

test "another driver has no mounts" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "raw_exec"

          config {
            command = "/bin/app"
            volumes = ["/:/host"]
            mounts  = [{ type = "bind", source = "/", target = "/host2" }]

            mount {
              type   = "bind"
              source = "/"
              target = "/host1"
            }
          }
        }
      }
    }
  EOT
}

test "mount blocks" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            mount {
              type   = "bind"
              source = "local/x"
              target = "/x"
            }

            mount {
              type   = "bind"
              source = "/etc/"
              target = "/x"
            }

            mount {
              type   = "bind"
              source = "/etc/ssl/certs/"
              target = "/x"
            }

            mount {
              type   = "bind"
              target = "/x"
            }

            mount {
              source = "/etc"
              target = "/x"
            }

            mount {
              type   = "bind"
              source = "/etc/localtime"
              target = "/x"
            }

            mount {
              type   = "volume"
              source = "/etc"
              target = "/x"
            }
          }
        }
      }
    }
  EOT

  finding "rule.mount" {
    line = 16
  }
}

test "mounts as a list" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            mounts = [
              { type = "bind", source = "local/x", target = "/x" },
              { type = "bind", source = "/etc/", target = "/x" },
              { type = "bind", source = "/etc/ssl/certs/", target = "/x" },
              { source = "/etc", target = "/x" },
              { type = "bind", source = "/etc/localtime", target = "/x" },
              { type = "volume", source = "/etc", target = "/x" },
              { type = "bind", target = "/x" },
            ]
          }
        }
      }
    }
  EOT

  finding "rule.mounts" {
    line = 10
  }
}

test "other spellings of a path" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = [
              "//etc:/x",
              "/opt/../etc:/x",
              "/etc/ssl/certs/../../shadow:/x",
              "/opt/./..:/x",
              "/srv/../etc//localtime:/x",
              "/etc/../srv/web:/x",
            ]
          }
        }
      }
    }
  EOT

  finding "rule.volumes" {
    line = 9
  }

  finding "rule.volumes" {
    line = 10
  }

  finding "rule.volumes" {
    line = 11
  }

  finding "rule.volumes" {
    line = 12
  }
}

test "relative paths that leave the directory of the task" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = [
              "local/../../../../etc:/x",
              "..:/x",
              "../other/secrets:/x",
              "local/../secrets:/x",
              "../alloc:/x",
              "local/../../alloc/data:/x",
              "../alloc/../web:/x",
              "..data:/x",
              "$${NOMAD_META_dir}/data:/x",
            ]
          }
        }
      }
    }
  EOT

  finding "rule.volumes" {
    line = 9
  }

  finding "rule.volumes" {
    line = 10
  }

  finding "rule.volumes" {
    line = 11
  }

  finding "rule.volumes" {
    line = 15
  }
}

test "other spellings in mount blocks" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            
            mount {
              type   = "bind"
              source = "/opt/../etc"
              target = "/x"
            }
            
            mount {
              type   = "bind"
              source = "//"
              target = "/x"
            }
            
            mount {
              type   = "bind"
              source = "local/../../../etc"
              target = "/x"
            }
            
            mount {
              type   = "bind"
              source = "/etc/ssl/certs/../../shadow"
              target = "/x"
            }
            
            mount {
              type   = "bind"
              source = "/etc//localtime"
              target = "/x"
            }
            
            mount {
              type   = "bind"
              source = "../alloc/x"
              target = "/x"
            }
          }
        }
      }
    }
  EOT

  finding "rule.mount" {
    line = 11
  }

  finding "rule.mount" {
    line = 17
  }

  finding "rule.mount" {
    line = 23
  }

  finding "rule.mount" {
    line = 29
  }
}

test "other spellings in mounts" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            mounts = [
              { type = "bind", source = "/opt/../etc", target = "/x" },
              { type = "bind", source = "//", target = "/x" },
              { type = "bind", source = "local/../../../etc", target = "/x" },
              { type = "bind", source = "/etc/ssl/certs/../../shadow", target = "/x" },
              { type = "bind", source = "/etc//localtime", target = "/x" },
              { type = "bind", source = "../alloc/x", target = "/x" },
            ]
          }
        }
      }
    }
  EOT

  finding "rule.mounts" {
    line = 9
  }

  finding "rule.mounts" {
    line = 10
  }

  finding "rule.mounts" {
    line = 11
  }

  finding "rule.mounts" {
    line = 12
  }
}

test "a star between" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["/data/a+b/x:/x", "/data/ab/y:/x", "/data/(1:/x"]
          }
        }
      }
    }
  EOT
  variables = {
    forbidden = ["/data/*/x", "/data/(?"]
  }

  finding "rule.volumes" {
    line = 8
  }

  finding "rule.volumes" {
    line = 8
  }
}

test "relative paths are forbidden by a list of one's own too" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
            volumes = ["../x:/x"]
          }
        }
      }
    }
  EOT
  variables = {
    forbidden = []
  }

  finding "rule.volumes" {
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
            volumes = ["/:/x"]
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
            volumes = ["/:/x"]
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["api-?"]
  }

  finding "rule.volumes" {
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
            volumes = ["/:/x"]
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
            volumes = ["/:/x"]
          }
        }
      }
    }
  EOT
  variables = {
    allowed_jobs = ["c++", "a(b"]
  }

  finding "rule.volumes" {
    line = 8
  }
}

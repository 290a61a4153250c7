test "latest is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:latest"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line    = 7
    message = "the image nginx:latest can change under the job; name a version, such as nginx:1.2.3, or a digest"
  }
}

test "a version" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "no tag is latest" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "a port is no tag" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "registry.example.com:5000/nginx"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "a tag with a digest" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:latest@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
          }
        }
      }
    }
  EOT
}

test "half a digest" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx@sha256:0123"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "other tags that move" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:edge"
          }
        }
      }
    }
  EOT
  variables = {
    mutable_tags = ["edge"]
  }

  finding "rule.pinned" {
    line = 7
  }
}

test "tags that may move" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:latest"
          }
        }
      }
    }
  EOT
  variables = {
    mutable_tags = []
  }
}

test "a digest is demanded" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    digest = true
  }

  finding "rule.pinned" {
    line = 7
  }
}

test "a digest is there" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
          }
        }
      }
    }
  EOT
  variables = {
    digest = true
  }
}

test "a tag that is known at run time" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:$${NOMAD_META_version}"
          }
        }
      }
    }
  EOT
}

test "an image of the client" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "podman"

          config {
            image = "docker-archive:local/nginx.tar"
          }
        }
      }
    }
  EOT
}

test "an image from an artifact" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:latest"
            load  = "nginx.tar"
          }
        }
      }
    }
  EOT
}

test "containerd too" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "containerd-driver"

          config {
            image = "nginx"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "an image that is no text" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = ["nginx"]
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["quay.io"]
  }
}

test "one of two registries" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "quay.io/team/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io", "quay.io"]
  }
}

test "podman too" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "podman"

          config {
            image = "docker.io/library/nginx:latest"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "the image of a virtual machine" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "qemu"

          config {
            image_path = "local/disk.img"
            image      = "latest"
          }
        }
      }
    }
  EOT
}

test "an allowed registry" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "registry.example.com/team/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["registry.example.com/team/"]
  }
}

test "an allowed registry that the driver is told with its scheme" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "https://registry.example.com/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["registry.example.com"]
  }
}

test "a registry that is not allowed" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "quay.io/team/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["registry.example.com"]
  }

  finding "rule.registry" {
    line = 7
  }
}

test "a registry with a longer name" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "registry.example.com.evil.io/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["registry.example.com"]
  }

  finding "rule.registry" {
    line = 7
  }
}

test "a path on Docker Hub that looks like a registry" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "registry/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["registry"]
  }

  finding "rule.registry" {
    line = 7
  }
}

test "official images" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io/library"]
  }
}

test "images of Docker Hub" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "grafana/grafana:11.5.2"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io/library", "quay.io"]
  }

  finding "rule.registry" {
    line = 7
  }
}

test "all of Docker Hub" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "grafana/grafana:11.5.2"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io"]
  }
}

test "localhost is a registry" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "localhost/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io"]
  }

  finding "rule.registry" {
    line = 7
  }
}

test "a registry that is known at run time" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${meta.registry}/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io"]
  }
}

test "registries are not asked of an image from an artifact" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "quay.io/web:1"
            load  = "web.tar"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io"]
  }
}

test "nor of another driver" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "qemu"

          config {
            image = "quay.io/web:1"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io"]
  }
}

test "nor of an archive" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "podman"

          config {
            image = "oci-archive:local/web.tar"
          }
        }
      }
    }
  EOT
  variables = {
    allowed_registries = ["docker.io"]
  }
}

test "the end of $${NOMAD_META_r}/nginx:latest is known" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_r}/nginx:latest"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "the end of $${NOMAD_META_r}/nginx is known" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_r}/nginx"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "the end of $${NOMAD_META_i}:latest is known" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_i}:latest"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "the end of $${NOMAD_META_host}:5000/nginx is known" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_host}:5000/nginx"
          }
        }
      }
    }
  EOT

  finding "rule.pinned" {
    line = 7
  }
}

test "$${NOMAD_META_r}/nginx:1.27.4 may be pinned" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_r}/nginx:1.27.4"
          }
        }
      }
    }
  EOT
}

test "$${NOMAD_META_i} may be pinned" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_i}"
          }
        }
      }
    }
  EOT
}

test "$${NOMAD_META_i}:1.27.4 may be pinned" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_i}:1.27.4"
          }
        }
      }
    }
  EOT
}

test "$${NOMAD_META_r}/nginx:$${NOMAD_META_v} may be pinned" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_r}/nginx:$${NOMAD_META_v}"
          }
        }
      }
    }
  EOT
}

test "nginx:$${NOMAD_META_v}-alpine may be pinned" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:$${NOMAD_META_v}-alpine"
          }
        }
      }
    }
  EOT
}

test "$${NOMAD_META_r}/$${NOMAD_META_i} may be pinned" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "$${NOMAD_META_r}/$${NOMAD_META_i}"
          }
        }
      }
    }
  EOT
}

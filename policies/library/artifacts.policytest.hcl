test "plain http is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source = "http://example.com/app.tar.gz"

            options {
              checksum = "sha256:0123"
            }
          }
        }
      }
    }
  EOT

  finding "rule.tls" {
    line    = 11
    message = "task app downloads http://example.com/app.tar.gz without TLS that is checked; use https and leave insecure out"
  }
}

test "https and a checksum" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source = "https://example.com/app.tar.gz"

            options {
              checksum = "sha256:0123"
            }
          }
        }
      }
    }
  EOT
}

test "the client itself" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source = "http://127.0.0.1:9000/app.tar.gz?checksum=sha256:0123"
          }
        }
      }
    }
  EOT
}

test "any certificate will do" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source   = "https://example.com/app.tar.gz?checksum=sha256:0123"
            insecure = true
          }
        }
      }
    }
  EOT

  finding "rule.tls" {
    line = 12
  }
}

test "no checksum" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source = "https://example.com/app.tar.gz?token=abc"
          }
        }
      }
    }
  EOT

  finding "rule.checksum" {
    line    = 11
    enforce = "warn"
  }
}

test "not from the web" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source = "git::git@example.com:app"
          }
        }
      }
    }
  EOT
}

test "a repository on the web" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source = "https://example.com/team/app.git?ref=v1"
          }
        }
      }
    }
  EOT
}

test "from where we trust" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source = "https://artifacts.example.com/app.tar.gz"
          }
        }
      }
    }
  EOT
  variables = {
    trusted = ["https://artifacts.example.com/"]
  }
}

test "from elsewhere" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          artifact {
            source = "https://artifacts.example.org/app.tar.gz"
          }
        }
      }
    }
  EOT
  variables = {
    trusted = ["https://artifacts.example.com/"]
  }

  finding "rule.checksum" {
    line    = 11
    enforce = "warn"
  }
}

test "a secret in local/ is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data = <<-EOF
              {{ with secret "database/creds/web" }}{{ .Data.password }}{{ end }}
            EOF

            destination = "local/db.conf"
          }
        }
      }
    }
  EOT

  finding "rule.secrets-folder" {
    line    = 15
    message = "the template local/db.conf holds a secret outside of secrets/; write it to secrets/ instead"
  }
}

test "a secret in secrets/" {
  example = "holds"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data = <<-EOF
              {{ with secret "database/creds/web" }}{{ .Data.password }}{{ end }}
            EOF

            destination = "secrets/db.conf"
          }
        }
      }
    }
  EOT
}

test "the folder by its variable" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data = <<-EOF
              {{ with secret "database/creds/web" }}{{ .Data.password }}{{ end }}
            EOF

            destination = "$${NOMAD_SECRETS_DIR}/db.conf"
          }
        }
      }
    }
  EOT
}

test "a secret for the environment alone" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data = <<-EOF
              PASSWORD={{ with secret "database/creds/web" }}{{ .Data.password }}{{ end }}
            EOF

            destination = "local/db.env"
            env         = true
          }
        }
      }
    }
  EOT
}

test "no secret" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data = <<-EOF
              {{ key "web/title" }} # secret "agent"
            EOF

            destination = "local/web.conf"
            change_mode = "noop"
          }
        }
      }
    }
  EOT
}

test "a certificate" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data = <<-EOF
              {{ with pkiCert "pki/issue/web" "common_name=web" }}{{ .Cert }}{{ end }}
            EOF

            destination = "local/cert.pem"
          }
        }
      }
    }
  EOT

  finding "rule.secrets-folder" {
    line = 15
  }
}

test "a secret that changes unheard" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data = <<-EOF
              {{ with secret "database/creds/web" }}{{ .Data.password }}{{ end }}
            EOF

            destination = "secrets/db.conf"
            change_mode = "noop"
          }
        }
      }
    }
  EOT

  finding "rule.noop" {
    line    = 16
    enforce = "warn"
  }
}

test "a secret that is read once" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data = <<-EOF
              {{ with secret "database/creds/web" }}{{ .Data.password }}{{ end }}
            EOF

            destination = "secrets/db.conf"
            change_mode = "noop"
            once        = true
          }
        }
      }
    }
  EOT
}

test "all at once" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data        = "{{ key \"web\" }}"
            destination = "local/web.conf"
            splay       = "0s"
          }
        }
      }
    }
  EOT

  finding "rule.splay" {
    line = 15
  }
}

test "one after the other" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data        = "{{ key \"web\" }}"
            destination = "local/web.conf"
            splay       = "1s"
          }
        }
      }
    }
  EOT
}

test "one alone" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 1

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data        = "{{ key \"web\" }}"
            destination = "local/web.conf"
            splay       = "0s"
          }
        }
      }
    }
  EOT
}

test "no restart" {
  job = <<-EOT
    job "web" {
      group "app" {
        count = 2

        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          template {
            data        = "{{ key \"web\" }}"
            destination = "local/web.conf"
            change_mode = "signal"
            splay       = "0s"
          }
        }
      }
    }
  EOT
}

test "a password in env is refused" {
  example = "breaks"
  job     = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            DB_PASSWORD = "correct horse"
          }
        }
      }
    }
  EOT

  finding "rule.env-name" {
    line    = 11
    message = "DB_PASSWORD has a plain value; take it from a Nomad variable or Vault with a template that has env = true, and change the secret, since it has been seen"
  }
}

test "a password from Vault" {
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
            data        = "DB_PASSWORD={{ with nomadVar \"nomad/jobs/web\" }}{{ .password }}{{ end }}"
            destination = "secrets/app.env"
            env         = true
          }
        }
      }
    }
  EOT
}

test "other names of secrets" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            apiKey = "abc"
            AWS_SECRET = "abc"
            TOKEN = "abc"
            TOKENIZER = "abc"
            PASSWORD_FILE = "abc"
          }
        }
      }
    }
  EOT

  finding "rule.env-name" {
    line = 12
  }

  finding "rule.env-name" {
    line = 13
  }

  finding "rule.env-name" {
    line = 11
  }
}

test "values that are no secrets" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            A_PASSWORD = ""
            B_PASSWORD = "changeme"
            C_PASSWORD = "/run/secrets/db"
            D_PASSWORD = "$${NOMAD_SECRETS_DIR}/db"
            E_PASSWORD = "<from vault>"
            F_TOKEN = "3600"
          }
        }
      }
    }
  EOT
}

test "names of the team" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            DB_PASSWORD = "abc"
            KENNWORT = "abc"
          }
        }
      }
    }
  EOT
  variables = {
    names = "KENNWORT"
  }

  finding "rule.env-name" {
    line = 12
  }
}

test "placeholders of the team" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            DB_PASSWORD = "abc"
            DB_TOKEN = "geheim"
          }
        }
      }
    }
  EOT
  variables = {
    placeholders = "^geheim$"
  }

  finding "rule.env-name" {
    line = 11
  }
}

test "what looks like a secret" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            A = "AKIAIOSFODNN7EXAMPLE"
            B = "postgres://web:hunter2@db/web"
            C = "postgres://web@db/web"
            D = "postgres://web:$${DB_PASSWORD}@db/web"
            E = "-----BEGIN PRIVATE KEY-----"
            F = "http://example.com:8080/a@b"
          }
        }
      }
    }
  EOT

  finding "rule.env-shape" {
    line = 11
  }

  finding "rule.env-shape" {
    line = 12
  }

  finding "rule.env-shape" {
    line = 15
  }
}

test "more that looks like a secret" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            A = "ghp_0123456789abcdefghijABCDEFGHIJ012345"
            B = "xoxb-0123456789-abc"
            C = "sk_live_0123456789abcdef"
            D = "hvs.0123456789abcdefghijkl"
            E = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ3ZWIifQ.c2lnbmF0dXJl"
          }
        }
      }
    }
  EOT

  finding "rule.env-shape" {
    line = 11
  }

  finding "rule.env-shape" {
    line = 12
  }

  finding "rule.env-shape" {
    line = 13
  }

  finding "rule.env-shape" {
    line = 14
  }

  finding "rule.env-shape" {
    line = 15
  }
}

test "what looks random" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            RELEASE = "q7Zk2vXw9Tr4Lm8Np3Bd6Fy1Hs5Gj0Ca"
            SHORT = "q7Zk2vXw9Tr4Lm8Np3Bd6Fy"
            COMMIT = "9fceb02d0ae598e95dc970b74767f19372d61af8"
            WORDS = "ReconcileOrchestratorHealthCheckHandler2"
            UPPER = "Q7ZK2VXW9TR4LM8NP3BD6FY1HS5GJ0CA"
            LETTERS = "qZkvXwTrLmNpBdFyHsGjCaQzKuVxWi"
            PATH_LIKE = "a.7Zk2vXw9Tr4Lm8Np3Bd6Fy1Hs5Gj0"
            A_TOKEN = "q7Zk2vXw9Tr4Lm8Np3Bd6Fy1Hs5Gj0Ca"
          }
        }
      }
    }
  EOT

  finding "rule.env-name" {
    line = 18
  }

  finding "rule.env-entropy" {
    line    = 11
    enforce = "warn"
  }
}

test "what the team calls random" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            RELEASE = "q7Zk2vXw9Tr4Lm8Np3Bd6Fy1Hs5Gj0Ca"
          }
        }
      }
    }
  EOT
  variables = {
    min_entropy = 5.5
  }
}

test "exactly as random as the team allows" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            RELEASE = "0123456789abcdefghijklmnopqrstuV"
          }
        }
      }
    }
  EOT
  variables = {
    min_entropy = 5
  }

  finding "rule.env-entropy" {
    line    = 11
    enforce = "warn"
  }
}

test "arguments" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args    = ["--db-password=hunter2", "--token=/run/secrets/token", "--token-ttl=10", "--url", "https://web:hunter2@example.com/", 8080]
          }
        }
      }
    }
  EOT

  finding "rule.args" {
    line = 8
  }

  finding "rule.args" {
    line = 8
  }
}

test "an argument with an equals sign in its value" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args    = ["--secret=abc=", "-password=$${DB_PASSWORD}", "password=x"]
          }
        }
      }
    }
  EOT

  finding "rule.args" {
    line = 8
  }
}

test "a list among the arguments" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args    = [["--token=abc"]]
          }
        }
      }
    }
  EOT
}

test "the text of a template" {
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
              url = "https://web:hunter2@example.com/"
            EOF

            destination = "secrets/app.env"
          }
        }
      }
    }
  EOT

  finding "rule.template" {
    line = 11
  }
}

test "a template that reads secrets" {
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
              url = "https://web:{{ with nomadVar "nomad/jobs/web" }}{{ .password }}{{ end }}@example.com/"
            EOF

            destination = "secrets/app.env"
          }
        }
      }
    }
  EOT
}

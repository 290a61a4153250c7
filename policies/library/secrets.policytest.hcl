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

test "common names" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            DB_PASS = "hunter2"
            PGPASSWORD = "hunter2"
            MYSQL_PWD = "hunter2"
            SECRET_KEY_BASE = "abc"
            ENCRYPTION_KEY = "0123456789abcdef"
            PASSWORD2 = "hunter2"
            TOKEN_2 = "abc"
            AWS_SECRET_ACCESS_KEY = "abc"
            dbPassword = "hunter2"
            RAILS_MASTER_KEY = "abc"
            PASS = "my dog"
            HMAC_KEY = "abc"
            SIGNING_KEY = "abc"
            AUTHKEY = "abc"
            DB_SECRET = "$ecret"
            URL_TOKEN = "https://a.example.com/?t=1"
          }
        }
      }
    }
  EOT

  finding "rule.env-name" {
    line = 24
  }

  finding "rule.env-name" {
    line = 18
  }

  finding "rule.env-name" {
    line = 11
  }

  finding "rule.env-name" {
    line = 25
  }

  finding "rule.env-name" {
    line = 15
  }

  finding "rule.env-name" {
    line = 22
  }

  finding "rule.env-name" {
    line = 13
  }

  finding "rule.env-name" {
    line = 21
  }

  finding "rule.env-name" {
    line = 16
  }

  finding "rule.env-name" {
    line = 12
  }

  finding "rule.env-name" {
    line = 20
  }

  finding "rule.env-name" {
    line = 14
  }

  finding "rule.env-name" {
    line = 23
  }

  finding "rule.env-name" {
    line = 17
  }

  finding "rule.env-name" {
    line = 26
  }

  finding "rule.env-name" {
    line = 19
  }
}

test "headers, webhooks and short passwords" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "docker"

          config {
            image = "nginx:1.27.4"
          }

          env {
            Authorization = "Bearer abcdefabcdef"
            HEADER = "Authorization: Bearer abcdefabcdef"
            BASIC = "Basic dXNlcjpwYXNzd29yZA=="
            HOOK = "https://hooks.slack.com/services/T00000000/B00000000/abcdefghijklmnopqrstuvwx"
            URL = "postgres://u:p@h"
            ENCODED = "redis://:%40a@redis:6379/0"
            JSON = "{\"authorization\": \"bearer abcdefabcdef\"}"
          }
        }
      }
    }
  EOT

  finding "rule.env-shape" {
    line = 11
  }

  finding "rule.env-shape" {
    line = 13
  }

  finding "rule.env-shape" {
    line = 16
  }

  finding "rule.env-shape" {
    line = 12
  }

  finding "rule.env-shape" {
    line = 14
  }

  finding "rule.env-shape" {
    line = 17
  }

  finding "rule.env-shape" {
    line = 15
  }
}

test "variables that hold no secret" {
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
            ALLOW_EMPTY_PASSWORD = "true"
            DB_PASSWORD = "$${NOMAD_META_pw}"
            DB_PASS = "/run/secrets/db"
            MYSQL_PWD = "secrets/mysql"
            PASSWORD_FILE = "x"
            PGPASSFILE = "local/pgpass"
            TOKEN_FILE = "/x"
            K8S_SECRET_NAME = "x"
            PWD = "app"
            OLDPWD = "app"
            COMPASS = "north"
            BYPASS = "internal"
            BYPASS_CACHE = "on"
            PASSTHROUGH = "host"
            PROXY_PASS = "http://backend:8080/api"
            PASSWORD_RESET_URL = "https://example.com/reset"
            PASSWORD_POLICY = "strong"
            PASSWORDLESS = "on"
            KEYSPACE = "app"
            SORT_KEY = "created_at"
            PRIMARY_KEY = "id"
            PUBLIC_KEY = "ssh-ed25519 abc"
            CACHE_KEY_PREFIX = "app:v1:"
            TLS_KEY = "tls.key"
            ACCESS_KEY_ID = "abc"
            SECRET_KEY_REF = "db"
            TOKEN_ENDPOINT = "https://a.example.com/token"
            OAUTH_TOKEN = "https://a.example.com/token"
            MAX_TOKENS = "4096"
            TOKENIZER = "bpe"
            TOKEN_TTL = "1h"
            AUTH_TOKEN_HEADER = "X-Auth"
            SECRETS_DIR = "x"
            AUTHORIZATION = "enabled"
            SCHEME = "Bearer"
            AUTH_TYPE = "Basic authentication"
            AUTH_HEADER = "Bearer $${TOKEN}"
            WANTS = "Authorization: Bearer <token>"
            HINT = "use Bearer authentication"
            DSN = "postgres://web@db/web"
            DSN_FORMAT = "postgres://%s:%s@db/web"
            LINK = "http://example.com:8080/a@b"
            CHAT = "https://hooks.slack.com/services/$${NOMAD_META_hook}"
            SLACK_DOCS = "https://api.slack.com/messaging/webhooks"
            UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
            IMAGE = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            SECRET_TEMPLATE_TOKEN = "{{ token }}"
            API_KEY = "env:API_KEY"
            RELATIVE_TOKEN = "./token"
            PARENT_TOKEN = "../token"
            TLS_PRIVATE_KEY = "certs/tls.key"
          }
        }
      }
    }
  EOT
}

test "an option and its value" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args = [
              "--password",
              "hunter2",
              "--user",
              "web",
              "-api-key",
              "abc=",
              "--db.passwd",
              "abc",
              "--token",
              "--verbose",
              "--no-password=hunter2",
              "--requirepass",
              "hunter2",
              "run --no-wait --use-token TOKEN=abc",
            ]
          }
        }
      }
    }
  EOT

  finding "rule.args" {
    line = 10
  }

  finding "rule.args" {
    line = 14
  }

  finding "rule.args" {
    line = 16
  }

  finding "rule.args" {
    line = 19
  }

  finding "rule.args" {
    line = 21
  }

  finding "rule.args" {
    line = 22
  }
}

test "variables in arguments" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args = [
              "-e",
              "DB_PASSWORD=abc",
              "--env=DB_PASSWORD=abc",
              "--env='API_KEY=abc'",
              "-Dapp.datasource.password=abc",
              "-eDB_PASSWORD=abc",
              "-e PGPASSWORD=abc",
              "--set=api.token=abc",
              "DB_PASS=abc",
              "-e=DB_PASSWORD=abc",
            ]
          }
        }
      }
    }
  EOT

  finding "rule.args" {
    line = 10
  }

  finding "rule.args" {
    line = 11
  }

  finding "rule.args" {
    line = 12
  }

  finding "rule.args" {
    line = 13
  }

  finding "rule.args" {
    line = 14
  }

  finding "rule.args" {
    line = 15
  }

  finding "rule.args" {
    line = 16
  }

  finding "rule.args" {
    line = 17
  }

  finding "rule.args" {
    line = 18
  }
}

test "scripts" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args = [
              "-c",
              "PGPASSWORD=abc psql",
              "-c",
              "cd /srv; export TOKEN='abc'; run",
              "-c",
              "(API_KEY=abc run)",
              "app --verbose --password hunter2 --user web",
              "run --user web --password \"hunter2\"",
              "-lc",
              "echo | MYSQL_PWD=abc mysql\n",
              "host=db user=web password=abc",
            ]
          }
        }
      }
    }
  EOT

  finding "rule.args" {
    line = 10
  }

  finding "rule.args" {
    line = 12
  }

  finding "rule.args" {
    line = 14
  }

  finding "rule.args" {
    line = 15
  }

  finding "rule.args" {
    line = 16
  }

  finding "rule.args" {
    line = 18
  }

  finding "rule.args" {
    line = 19
  }
}

test "headers in arguments" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args = [
              "--header=Authorization: Bearer abcdefabcdef",
              "-H",
              "Authorization: Basic dXNlcjpwYXNzd29yZA==",
              "Authorization: Bearer $${TOKEN}",
              "postgres://u:p@h",
            ]
          }
        }
      }
    }
  EOT

  finding "rule.args" {
    line = 9
  }

  finding "rule.args" {
    line = 11
  }

  finding "rule.args" {
    line = 13
  }
}

test "arguments that hold no secret" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args = [
              "--password-file",
              "/run/secrets/db",
              "--password",
              "/run/secrets/db",
              "--token",
              "$${TOKEN}",
              "serve",
              "--no-password",
              "web",
              "--use-token",
              "server",
              "--pass-credentials",
              "web",
              "--credentials",
              "account.json",
              "--password-stdin",
              "registry.example.com",
              "--password",
              "",
              "--token-ttl",
              "10m",
              "create-token",
              "web",
              "reset-password bob",
              "--tokens",
              "4096",
              "-p",
              "x",
              "-e",
              "DB_PASSWORD_FILE=abc",
              "--env=DB_PASSWORD=$${PW}",
              "PGPASSWORD=$DB_PASSWORD psql",
              "PGPASSWORD=\"$(cat secrets/pg)\" psql",
              "TOKEN=`cat x` run",
              "connect(password=os.environ[\"X\"], token=getenv(\"X\"))",
              "password=getenv('X')",
              "s/password=.*/password=new/",
              "--password -v",
              "PASSWORD= run",
              "PASSWORD='' run",
              "--require-token yes",
              "run --no-wait --use-token server",
              "[ -n \"$TOKEN\" ] && run",
              "secret",
              "password",
            ]
          }
        }
      }
    }
  EOT
}

test "an argument after a list" {
  job = <<-EOT
    job "web" {
      group "app" {
        task "app" {
          driver = "exec"

          config {
            command = "/bin/app"
            args = [["--password"], "web", 8080, "abc"]
          }
        }
      }
    }
  EOT
}

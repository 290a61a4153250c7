# Every attribute and block of a task.
job "task" {
  group "g" {
    task "main" {
      driver         = "docker"
      user           = "app"
      kill_timeout   = "20s"
      kill_signal    = "SIGTERM"
      leader         = true
      shutdown_delay = "3s"
      kind           = "connect-native:x"

      lifecycle {
        hook    = "poststart"
        sidecar = true
      }

      config {
        image = "redis:7"
      }

      constraint {
        attribute = "${attr.cpu.arch}"
        regexp    = "amd64|arm64"
      }

      affinity {
        attribute    = "${meta.tags}"
        set_contains = "ssd"
      }

      env {
        PLAIN    = "text"
        NUMBER   = 5
        FLOAT    = 1.25
        BOOL     = true
        RUNTIME  = "${NOMAD_ADDR_http}"
        my-lower = "dash"
      }

      meta {
        a = "b"
      }

      service {
        name = "svc"
        port = "http"
      }

      resources {
        cpu        = 500
        cores      = 2
        memory     = 256
        memory_max = 512
        disk       = 10
        iops       = 5
        secrets    = 1
        network {
          mbits = 10
          port "http" {}
          port "fixed" {
            static = 7000
          }
        }
        device "nvidia/gpu" {
          count = 2
          constraint {
            attribute = "${device.attr.memory}"
            operator  = ">="
            value     = "2 GiB"
          }
          affinity {
            attribute = "${device.model}"
            value     = "T4"
            weight    = 10
          }
        }
        numa {
          affinity = "require"
          devices  = ["nvidia/gpu"]
        }
      }

      restart {
        attempts = 1
      }

      logs {
        max_files     = 3
        max_file_size = 15
        disabled      = false
      }

      artifact {
        source      = "git::https://example.com/x.git"
        destination = "local/x"
        mode        = "dir"
        insecure    = true
        chown       = true
        options {
          depth = "1"
        }
        headers {
          User-Agent = "nomad"
        }
      }

      vault {
        policies               = ["p"]
        role                   = "r"
        namespace              = "ns"
        cluster                = "c"
        env                    = false
        disable_file           = true
        change_mode            = "signal"
        change_signal          = "SIGUSR1"
        allow_token_expiration = true
      }

      consul {
        cluster = "other"
      }

      template {
        source               = "local/x.tpl"
        destination          = "local/x"
        data                 = "{{ key \"a\" }}"
        change_mode          = "script"
        change_signal        = "SIGHUP"
        once                 = true
        splay                = "1s"
        perms                = "600"
        uid                  = 1000
        gid                  = 1001
        left_delimiter       = "[["
        right_delimiter      = "]]"
        env                  = true
        vault_grace          = "2s"
        error_on_missing_key = true
        wait {
          min = "1s"
          max = "10s"
        }
        change_script {
          command             = "/bin/reload"
          args                = ["-now"]
          timeout             = "7s"
          fail_on_error       = true
          run_on_first_render = true
        }
      }

      volume_mount {
        volume           = "data"
        destination      = "/data"
        read_only        = true
        propagation_mode = "private"
        selinux_label    = "Z"
      }

      csi_plugin {
        id                     = "plugin"
        type                   = "node"
        mount_dir              = "/csi"
        stage_publish_base_dir = "/stage"
        health_timeout         = "30s"
      }

      scaling "cpu" {
        enabled = true
        min     = 100
        max     = 1000
        policy {
          evaluation_interval = "10s"
        }
      }
      scaling "mem" {
        max = 512
      }

      secret "db" {
        provider = "vault"
        path     = "secret/db"
        config {
          engine = "kv_v2"
          nested {
            deep = null
          }
        }
        env {
          PROXY = "x"
        }
      }

      identity {
        env           = true
        file          = true
        change_mode   = "restart"
        change_signal = "SIGHUP"
        ttl           = "1h"
      }
      identity {
        name         = "aws"
        aud          = ["sts.amazonaws.com"]
        filepath     = "local/token"
        service_name = "svc"
        extra_claims = ["unsigned"]
      }

      action "migrate" {
        command = "/bin/migrate"
        args    = ["up"]
      }

      schedule {
        cron {
          start    = "0 9 * * *"
          end      = "0 17 * * *"
          timezone = "UTC"
        }
      }
    }
  }
}

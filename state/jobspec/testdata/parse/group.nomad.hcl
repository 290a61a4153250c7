# Every attribute and block of a group but its tasks.
job "group" {
  group "web" {
    count                        = 3
    shutdown_delay               = "5s"
    max_run_duration             = "2h"
    stop_after_client_disconnect = "1m"
    max_client_disconnect        = "10m"
    prevent_reschedule_on_lost   = true

    constraint {
      distinct_hosts = true
    }

    affinity {
      attribute = "${meta.rack}"
      value     = "r1"
    }

    spread {
      attribute = "${meta.rack}"
    }

    volume "data" {
      type            = "csi"
      source          = "data-volume"
      read_only       = true
      sticky          = false
      access_mode     = "single-node-writer"
      attachment_mode = "file-system"
      per_alloc       = true
      mount_options {
        fs_type     = "ext4"
        mount_flags = ["noatime"]
      }
    }

    volume "host" {
      type   = "host"
      source = "certs"
    }

    restart {
      interval         = "30m"
      attempts         = 2
      delay            = "15s"
      mode             = "fail"
      render_templates = true
    }

    disconnect {
      lost_after           = "6h"
      stop_on_client_after = "1h"
      replace              = false
      reconcile            = "keep_original"
    }

    reschedule {
      unlimited = true
    }

    ephemeral_disk {
      sticky  = true
      migrate = true
      size    = 500
    }

    update {
      canary = 1
    }

    migrate {
      max_parallel = 2
    }

    meta {
      tier = "web"
    }

    scaling {
      min     = 1
      max     = 5
      enabled = true
      type    = "horizontal"
      policy {
        cooldown = "1m"
        check "cpu" {
          source = "prometheus"
          query  = "avg(cpu)"
          strategy "target-value" {
            target = 70.5
          }
        }
      }
    }

    consul {
      namespace = "team"
      cluster   = "default"
      partition = "part"
    }

    network {
      mode     = "bridge"
      device   = "eth0"
      cidr     = "10.0.0.0/8"
      ip       = "10.0.0.5"
      hostname = "web-${NOMAD_ALLOC_INDEX}"
      mbits    = 10
      dns {
        servers  = ["1.1.1.1"]
        searches = ["example.com"]
        options  = ["ndots:2"]
      }
      port "http" {
        to               = 8080
        host_network     = "public"
        ignore_collision = true
      }
      port "admin" {
        static = 9901
      }
      port "any" {}
      cni {
        args = {
          IgnoreUnknown = "1"
        }
      }
    }

    service {
      name                = "web"
      tags                = ["a", "b"]
      canary_tags         = ["c"]
      enable_tag_override = true
      port                = "http"
      address_mode        = "alloc"
      address             = "web.example.com"
      task                = "app"
      on_update           = "ignore"
      provider            = "consul"
      cluster             = "default"
      kind                = "api"
      meta {
        m = "1"
      }
      canary_meta {
        m = "2"
      }
      tagged_addresses {
        lan = "10.0.0.1"
      }
      identity {
        aud = ["consul.io"]
        ttl = "1h"
      }
      weights {
        passing = 3
        warning = 1
      }
      check_restart {
        limit           = 3
        grace           = "90s"
        ignore_warnings = true
      }
      check {
        name                     = "alive"
        type                     = "http"
        command                  = "/bin/true"
        args                     = ["-x"]
        path                     = "/health"
        protocol                 = "https"
        port                     = "http"
        expose                   = true
        address_mode             = "host"
        advertise                = "1.2.3.4"
        interval                 = "10s"
        timeout                  = "2s"
        initial_status           = "warning"
        notes                    = "a note"
        tls_server_name          = "web"
        tls_skip_verify          = true
        method                   = "POST"
        body                     = "{}"
        grpc_service             = "g"
        grpc_use_tls             = true
        task                     = "app"
        success_before_passing   = 1
        failures_before_critical = 2
        failures_before_warning  = 1
        on_update                = "require_healthy"
        header {
          Authorization = ["Basic abc"]
          X-Many        = ["1", "2"]
        }
        check_restart {
          limit = 1
        }
      }
    }
  }
}

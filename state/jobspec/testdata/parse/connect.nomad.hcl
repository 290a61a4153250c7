job "connect" {
  group "api" {
    service {
      name = "api"
      connect {
        native = true
        sidecar_service {
          tags                      = ["t"]
          port                      = "9000"
          disable_default_tcp_check = true
          meta {
            a = "b"
          }
          proxy {
            local_service_address = "127.0.0.1"
            local_service_port    = 8080
            expose {
              path {
                path            = "/metrics"
                protocol        = "http"
                local_path_port = 9102
                listener_port   = "metrics"
              }
            }
            upstreams {
              destination_name        = "db"
              destination_namespace   = "ns"
              destination_peer        = "peer"
              destination_partition   = "part"
              destination_type        = "prepared_query"
              local_bind_port         = 5432
              datacenter              = "dc2"
              local_bind_address      = "127.0.0.2"
              local_bind_socket_path  = "/tmp/s"
              local_bind_socket_mode  = "0600"
              mesh_gateway {
                mode = "local"
              }
              config {
                connect_timeout_ms = 500
              }
            }
            transparent_proxy {
              uid                    = "101"
              outbound_port          = 15001
              exclude_inbound_ports  = ["8181"]
              exclude_outbound_ports = [25, 587]
              exclude_outbound_cidrs = ["10.0.0.0/8"]
              exclude_uids           = ["1000"]
              no_dns                 = true
            }
            config {
              protocol = "http"
              limits {
                max = 1.5
              }
            }
          }
        }
        sidecar_task {
          name   = "sidecar"
          driver = "docker"
          user   = "nobody"
          config {
            image = "envoy"
          }
          env {
            A = 1
          }
          resources {
            cpu = 50
          }
          meta {
            b = "c"
          }
          kill_timeout   = "9s"
          shutdown_delay = "2s"
          kill_signal    = "SIGINT"
          logs {
            max_files     = 2
            max_file_size = 3
            enabled       = false
            disabled      = true
          }
          volume_mount {
            volume      = "data"
            destination = "/d"
          }
          identity {
            name = "aws"
            aud  = ["sts"]
          }
        }
      }
    }

    service {
      name = "gateway"
      connect {
        gateway {
          proxy {
            connect_timeout                     = "3s"
            envoy_gateway_bind_tagged_addresses = true
            envoy_gateway_no_default_bind       = true
            envoy_dns_discovery_type            = "LOGICAL_DNS"
            envoy_gateway_bind_addresses "one" {
              address = "0.0.0.0"
              port    = 8888
            }
            envoy_gateway_bind_addresses "two" {
              address = "::"
              port    = 8889
            }
            config {
              x = [1, 2.5, "three"]
            }
          }
          ingress {
            tls {
              enabled         = true
              tls_min_version = "TLSv1_2"
              tls_max_version = "TLSv1_3"
              cipher_suites   = ["TLS_A"]
              sds {
                cluster_name  = "sds"
                cert_resource = "cert"
              }
            }
            listener {
              port     = 8080
              protocol = "http"
              service {
                name                    = "web"
                hosts                   = ["web.example.com"]
                max_connections         = 10
                max_pending_requests    = 20
                max_concurrent_requests = 30
                tls {
                  enabled = false
                }
                request_headers {
                  add {
                    X-A = "1"
                  }
                  set {
                    X-B = "2"
                  }
                  remove = ["X-C"]
                }
                response_headers {
                  remove = ["X-D"]
                }
              }
            }
          }
          terminating {
            service {
              name      = "legacy"
              ca_file   = "/ca"
              cert_file = "/cert"
              key_file  = "/key"
              sni       = "legacy"
            }
          }
          mesh {}
        }
      }
    }
  }
}

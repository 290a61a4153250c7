# The sandbox orchestrator: one per node, starts and stops Firecracker machines.
# 由 systemd 迁移而来；启动脚本需要 root 权限，因此经由 sudo 运行。

variable "environment" {
  type    = string
  default = "local"
}

variable "memory_mb" {
  type    = number
  default = 2048
}

job "orchestrator" {
  datacenters = ["dc1"]
  type        = "service"
  priority    = 90

  group "orchestrator" {
    count = 1

    network {
      mode = "host"

      port "grpc" {
        static = 5008
      }

      port "proxy" {
        static = 5007
      }
    }

    restart {
      attempts = 3
      interval = "5m"
      delay    = "15s"
      mode     = "fail"
    }

    task "orchestrator" {
      driver = "raw_exec"
      user   = "primihub"

      config {
        command = "sudo"
        args    = ["-E", "/mnt/data1/pcloud/infra/local-deploy/scripts/start-orchestrator.sh"]
      }

      # 环境变量在此处声明，无需 sudo -E 传递。
      env {
        NODE_ID           = "${node.unique.name}"
        ENVIRONMENT       = var.environment
        LOG_LEVEL         = "info"
        GRPC_PORT         = "${NOMAD_PORT_grpc}"
        PROXY_PORT        = "${NOMAD_PORT_proxy}"
        CONSUL_TOKEN_FILE = "/mnt/data1/pcloud/infra/local-deploy/consul.token"
        OTEL_SERVICE_NAME = "orchestrator"

        # Templates and kernels are shared by all machines of the node.
        TEMPLATE_CACHE_DIR = "/mnt/data1/pcloud/cache/templates"
        KERNELS_DIR        = "/mnt/data1/pcloud/kernels"
        FIRECRACKER_DIR    = "/mnt/data1/pcloud/firecracker"
      }

      resources {
        cpu    = 1000 # MHz
        memory = var.memory_mb
      }

      # The machines are drained first: 正在运行的沙箱需要时间退出。
      kill_timeout = "30s"

      logs {
        max_files     = 5
        max_file_size = 20
      }
    }
  }
}

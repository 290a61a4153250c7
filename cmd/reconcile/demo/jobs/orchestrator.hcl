# The sandbox orchestrator, cut down to what the demo needs.
# 启动脚本经由 sudo 运行；环境变量在 env 块中声明。

variable "folder" {
  type = string
}

variable "sudo" {
  type    = string
  default = "sudo"
}

job "orchestrator-demo" {
  type = "service"

  update {
    min_healthy_time  = "1s"
    healthy_deadline  = "20s"
    progress_deadline = "25s"
  }

  group "orchestrator" {
    count = 1

    restart {
      attempts = 1
      interval = "1m"
      delay    = "1s"
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    task "orchestrator" {
      driver = "raw_exec"

      config {
        command = var.sudo
        args    = ["-E", "${var.folder}/scripts/start-orchestrator.sh"]
      }

      # 环境变量在此处声明，无需 sudo -E 传递。
      env {
        NODE_ID     = "${node.unique.name}"
        ENVIRONMENT = "local"
        BRIDGE      = "native"
      }

      kill_timeout = "2s"

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}

# 7,11 Unsupported argument
job "a" {
  group "g" {
    service {
      connect {
        sidecar_task {
          env = { A = 1 }
        }
      }
    }
  }
}

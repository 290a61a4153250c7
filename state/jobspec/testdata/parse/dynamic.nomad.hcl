variable "tasks" {
  default = { a = { ports = ["x", "y"] }, b = { ports = [] } }
}
job "dynamic" {
  dynamic "constraint" {
    for_each = ["one", "two"]
    content {
      attribute = "${meta.role}"
      value     = constraint.value
    }
  }
  group "static-first" {}
  dynamic "group" {
    for_each = var.tasks
    iterator = it
    labels   = ["g-${it.key}"]
    content {
      count = length(it.value.ports)
      network {
        dynamic "port" {
          for_each = it.value.ports
          labels   = ["${it.key}-${port.value}"]
          content {
            to = 8000 + port.key
          }
        }
      }
      dynamic "task" {
        for_each = it.value.ports
        labels   = [task.value]
        content {
          driver = "exec"
          env {
            WHERE = "${it.key}/${task.value}/${node.datacenter}"
          }
          dynamic "template" {
            for_each = [1]
            content {
              data = "x ${template.value} ${group.name}"
            }
          }
          config {
            command = task.value
          }
        }
      }
    }
  }
  group "static-last" {}
}

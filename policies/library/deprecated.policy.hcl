policy "deprecated" {
  description = "Nothing that Nomad 2 ignores, warns of, or will not read for long."
  why         = "Nomad reads old names without a word or with a warning that only the person at the terminal sees. Some have lost their meaning: since 1.10 max_client_disconnect is accepted and ignored, so a service that was meant to survive a network split is replaced during one. Others will stop to parse at an upgrade, for all jobs on the same day."
  fix         = true

  rule "cron" {
    description = "crons instead of cron"
    scope       = "job"
    assert      = try(job.periodic.cron == "", true)
    message     = "periodic.cron is deprecated; write crons = [\"${try(job.periodic.cron, "")}\"]"
    fix {
      path  = job.periodic.crons
      value = [job.periodic.cron]
    }
    fix {
      path  = job.periodic.cron
      value = null
    }
  }

  rule "disconnect" {
    description = "the disconnect block instead of what it replaced"
    scope       = "group"
    assert      = group.max_client_disconnect == null && group.stop_after_client_disconnect == null && group.prevent_reschedule_on_lost == null
    message     = "group ${group.name} uses max_client_disconnect, stop_after_client_disconnect or prevent_reschedule_on_lost, which Nomad ignores since 1.10; write a disconnect block with lost_after, stop_on_client_after or replace"
  }

  rule "task-network" {
    description = "networks belong to groups"
    assert      = length(task.resources.network) == 0
    message     = "task ${task.name} has a network block in its resources; move it to the group, and give its ports to the task in config"
  }

  rule "port-map" {
    description = "config.ports instead of port_map"
    when        = task.driver == "docker"
    assert      = !can(task.config.port_map)
    message     = "task ${task.name} maps ports with port_map, which knows only the network block of tasks; write to = PORT in the group's network block and list the labels in config.ports"
  }

  rule "mbits" {
    description = "no mbits, which nothing reads"
    scope       = "group"
    for_each    = group.network
    assert      = each.value.mbits == null
    message     = "mbits in the network block of group ${group.name} has no effect; remove it"
    fix {
      path  = each.value.mbits
      value = null
    }
  }

  rule "iops" {
    description = "no iops, which nothing reads"
    assert      = task.resources.iops == null
    message     = "iops in the resources of task ${task.name} has no effect; remove it"
    fix {
      path  = task.resources.iops
      value = null
    }
  }

  rule "vault-grace" {
    description = "no vault_grace, which nothing reads"
    for_each    = task.template
    assert      = seconds(each.value.vault_grace) == 0
    message     = "vault_grace of the template ${each.value.destination} has no effect; remove it"
    fix {
      path  = each.value.vault_grace
      value = null
    }
  }
}

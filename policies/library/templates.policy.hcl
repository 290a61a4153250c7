locals {
  # Functions whose results are secret.
  secret = "[{][{][^}]*\\b(secret|secrets|pkiCert)\\s+\""
}

policy "templates" {
  description = "Templates with secrets write them where secrets belong, and are read again when these change."
  why         = "Whatever lies in local/ is served by nomad alloc fs to everybody with read-fs, and is on the node's disk; secrets/ is in memory and is not served. With change_mode = noop the file changes and the program goes on with the old value: when Vault's lease ends, a service that ran for a month loses its database. Templates of all allocations change at the same moment, so without splay they all restart together."

  rule "secrets-folder" {
    description = "templates that read Vault write below secrets/"
    for_each    = task.template
    when        = matches(local.secret, each.value.data) && !each.value.env
    assert      = matches("^([$][{]NOMAD_SECRETS_DIR[}]|/?secrets)/", each.value.destination)
    message     = "the template ${each.value.destination} holds a secret outside of secrets/; write it to secrets/ instead"
  }

  rule "noop" {
    description = "a task learns of changed secrets"
    for_each    = task.template
    enforce     = "warn"
    when        = matches(local.secret, each.value.data) && !each.value.once
    assert      = each.value.change_mode != "noop"
    message     = "task ${task.name} is not told when the secret in ${each.value.destination} changes and goes on with one that has ended; set change_mode to restart, signal or script"
  }

  rule "splay" {
    description = "allocations do not all restart at once"
    for_each    = task.template
    when        = each.value.change_mode == "restart" && group.count > 1
    assert      = seconds(each.value.splay) > 0
    message     = "with splay = 0s all ${group.count} allocations restart at once when ${each.value.destination} changes; remove the line, or set a time over which they restart"
  }
}

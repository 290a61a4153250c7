variable "names" {
  description = "a pattern for names of variables, and of options with _ for - and dots, whose values are secret; RE2"
  type        = string
  default     = "(?i)(password|passwd|passphrase|_pwd|requirepass|(^|_)(pass|secret|token|credentials?|(api|access|private|secret|encryption|signing|master|auth|hmac)_?key(_base)?))_?[0-9]*$"
}

variable "placeholders" {
  description = "a pattern for values that are no secrets; RE2"
  type        = string
  default     = "(?i)^$|^(true|false|yes|no|none|null|-|x+|[*]+|[0-9]+|change-?me|redacted|todo)$|^([.]{0,2}|secrets|local|alloc)/|^(file|env):|^https?://[^?@]*$|[$][{]|^<.*>$|^[{]{2}|^[^\\s]+[.](json|pem|key|crt|txt|ya?ml)$"
}

variable "min_entropy" {
  description = "bits per character from which a long random-looking value counts as a secret"
  type        = number
  default     = 4.2
}

locals {
  shapes = join("|", [
    "-----BEGIN [A-Z ]*PRIVATE KEY-----", # PEM
    "\\b(AKIA|ASIA)[0-9A-Z]{16}\\b",      # AWS
    "\\bgh[pousr]_[0-9A-Za-z]{36,}\\b|\\bgithub_pat_[0-9A-Za-z_]{60,}\\b|\\bglpat-[0-9A-Za-z_-]{20,}",
    "\\bxox[abprs]-[0-9A-Za-z-]{10,}|\\bhooks[.]slack(-gov)?[.]com/(services|workflows|triggers)/[0-9A-Za-z/]{20,}", # Slack
    "\\b[rs]k_live_[0-9A-Za-z]{16,}\\b",                                                                             # Stripe
    "\\bhv[sbr]\\.[0-9A-Za-z_-]{20,}",                                                                               # Vault
    "\\beyJ[0-9A-Za-z_-]{10,}\\.eyJ[0-9A-Za-z_-]{10,}\\.[0-9A-Za-z_-]{10,}",                                         # a JWT
    "[a-z][a-z0-9+.-]*://[^/\\s:@{}$<>'\"]*:([^/\\s:@{}$<>'\"*%]|%[0-9A-Fa-f]{2})+@[0-9A-Za-z.$]",                   # a URL with a password
    "(?i:authorization[\"']?\\s*[:=]\\s*[\"']?|^)(?i:bearer) [0-9A-Za-z+/=._~-]{8,}",                                # a header
    "(?i:authorization[\"']?\\s*[:=]\\s*[\"']?|^)(?i:basic) [A-Za-z+/]*[0-9][0-9A-Za-z+/]*={0,2}",
  ])

  # Around NAME=VALUE in a command line.
  around = "()\"',-"

  # Options that take no value.
  switches = "(^| )(--?(no|with|without|skip|use|ask|require|enable|disable|allow|generate|show|print|reset|pass|send|include)-[0-9A-Za-z._-]*(  |$))+"

  # What a shell or a program works out.
  computed = "^[A-Za-z0-9_.'\"-]+=[\"']*([$`]|[A-Za-z_.]+[(\\[])"
}

policy "secrets" {
  description = "No secret stands in a job file as plain text."
  why         = "A job specification is read by everybody with read-job, kept in Nomad's state and in old versions, shown by nomad job inspect, and its file lies in Git for ever: a password in an env block has leaked on the day it is committed. Nomad variables and Vault give the same value to the running task alone, through a template with env = true or a file under secrets/."

  rule "env-name" {
    description = "variables whose names speak of secrets have no plain value"
    for_each    = task.env
    when        = matches(var.names, each.key)
    assert      = matches(var.placeholders, each.value)
    message     = "${each.key} has a plain value; take it from a Nomad variable or Vault with a template that has env = true, and change the secret, since it has been seen"
  }

  rule "env-shape" {
    description = "no value of an env block looks like a key, a token or a URL with a password"
    for_each    = task.env
    assert      = !matches(local.shapes, each.value)
    message     = "the value of ${each.key} looks like a secret; take it from a Nomad variable or Vault with a template that has env = true, and change the secret, since it has been seen"
  }

  rule "env-entropy" {
    description = "no value of an env block looks random"
    for_each    = task.env
    enforce     = "warn"
    when        = !matches(var.names, each.key) && !matches(local.shapes, each.value) && matches("^[0-9A-Za-z+/_=-]{24,}$", each.value) && matches("[0-9]", each.value) && matches("[a-z]", each.value) && matches("[A-Z]", each.value)
    assert      = entropy(each.value) < var.min_entropy
    message     = "the value of ${each.key} looks random, as keys do; if it is one, take it from a Nomad variable or Vault with a template that has env = true, else make an exception"
  }

  rule "args" {
    description = "no argument holds a secret"
    for_each    = task.config.args
    when        = can(convert(each.value, string))
    # Words of the argument, an option and its value as one: --password hunter2 is
    # --password=hunter2, also where the option is the argument before.
    assert = !matches(local.shapes, each.value) && !anytrue([
      for word in [
        for word in split(" ", regex_replace(
          regex_replace(regex_replace(join(" ", concat(
            try([for before in [task.config.args[each.key - 1]] : before if matches("^--?[0-9A-Za-z._-]+$", before)], []), [each.value]
          )), "[\\s;|]+", "  "), local.switches, " "),
          "(^| )(--?[0-9A-Za-z._-]+)  ([^ =-][^ =]*=*)( |$)", "$1$2=$3$4"
        )) : trimprefix(trimprefix(trimprefix(trim(word, local.around), "e="), "env="), "set=") if matches("=", word)
      ] : matches("^[0-9A-Za-z_.'\"-]+=", word) && matches(var.names, replace(replace(trim(split("=", word)[0], local.around), "-", "_"), ".", "_")) &&
      !matches(local.computed, word) && !matches(var.placeholders, trim(regex_replace(word, "^[^=]*=", ""), local.around))
    ])
    message = "an argument of task ${task.name} holds a secret, which everybody on the node sees in ps; give the program a file under secrets/ or a variable from a template"
  }

  rule "template" {
    description = "no template holds a secret in its text"
    for_each    = task.template
    assert      = !matches(local.shapes, each.value.data)
    message     = "the text of the template ${each.value.destination} holds what looks like a secret; read it there from a Nomad variable or Vault"
  }
}

variable "trusted" {
  description = "what an artifact's source may begin with to need no checksum, such as \"https://artifacts.example.com/\""
  type        = list(string)
  default     = []
}

policy "artifacts" {
  description = "What tasks download is what was reviewed: over TLS, with a checksum."
  why         = "An artifact is fetched anew at every placement, and mostly is a program that then runs. Whoever can change the file behind the URL, or answers in its stead on plain http, runs code in the cluster at the next reschedule. A checksum also tells a half-finished upload from a release."

  rule "tls" {
    description = "no download over plain http, and none that accepts any certificate"
    for_each    = task.artifact
    assert      = !each.value.insecure && (!startswith(each.value.source, "http://") || matches("^http://(localhost|127[.])", each.value.source))
    message     = "task ${task.name} downloads ${regex_replace(each.value.source, "[?].*$", "")} without TLS that is checked; use https and leave insecure out"
  }

  rule "checksum" {
    description = "files from the web have a checksum"
    enforce     = "warn"
    for_each    = task.artifact
    when        = matches("^https?://", each.value.source) && !matches("^https?://[^/]*/.*[.]git([/?].*)?$", each.value.source) && !anytrue([for prefix in var.trusted : startswith(each.value.source, prefix)])
    assert      = can(each.value.options.checksum) || matches("[?&]checksum=", each.value.source)
    message     = "task ${task.name} takes whatever ${regex_replace(each.value.source, "[?].*$", "")} is at the time; add options { checksum = \"sha256:...\" }"
  }
}

variable "mutable_tags" {
  description = "tags that move: what they name today is not what they name tomorrow"
  type        = list(string)
  default     = ["latest", "stable", "edge", "nightly", "main", "master", "develop", "dev"]
}

variable "digest" {
  description = "demand @sha256:...; a tag alone is not enough then"
  type        = bool
  default     = false
}

variable "allowed_registries" {
  description = "where images may come from, such as \"registry.example.com/team\" or \"docker.io/library\"; none for anywhere"
  type        = list(string)
  default     = []
}

locals {
  drivers = ["docker", "podman", "containerd-driver"]

  # Files on the client, and names whose last part the client completes at run time;
  # in ${registry}/nginx:latest the tag is known.
  unknown = "[$][{][^{}]*[}][^/:]*$|^(docker-archive|oci-archive|oci|dir):"
}

policy "images" {
  description = "Images name a version that does not move, and come from registries we know."
  why         = "A tag like latest is read anew at every placement: after a node fails, the job comes back with another program than its neighbours run, and a rollback to the old job version starts the new image. Images from anywhere are code from anywhere. Names without a host come from Docker Hub, whose pull limits stop deployments at the worst hour."

  rule "pinned" {
    description = "the image has a digest, or a tag that does not move"
    for_each    = task.config
    when        = each.key == "image" && contains(local.drivers, task.driver) && !try(matches(local.unknown, each.value), true) && !can(task.config.load)
    assert = (
      matches("@sha256:[0-9a-f]{64}$", each.value) ||
      !var.digest && matches("^[^@]*:[^:/@]+$", each.value) && !anytrue([for tag in var.mutable_tags : endswith(each.value, ":${tag}")])
    )
    message = "the image ${each.value} can change under the job; name ${var.digest ? "its digest, IMAGE:TAG@sha256:..." : "a version, such as ${regex_replace(each.value, "(:[^:/@]+)?(@.*)?$", "")}:1.2.3, or a digest"}"
  }

  rule "registry" {
    description = "the image comes from an allowed registry, if any are listed"
    for_each    = task.config
    when        = each.key == "image" && contains(local.drivers, task.driver) && length(var.allowed_registries) > 0 && !try(matches("^[$][{]|^(docker-archive|oci-archive|oci|dir):", each.value), true) && !can(task.config.load)
    # As Docker reads names: the first part is a host if it has a dot, a port or is localhost.
    assert = anytrue([for registry in var.allowed_registries : startswith(
      matches("^(https://|docker://)?(localhost|[^/]*[.:][^/]*)/", each.value) ? regex_replace(each.value, "^(https|docker)://", "") :
      matches("/", each.value) ? "docker.io/${each.value}" : "docker.io/library/${each.value}",
      "${trimsuffix(registry, "/")}/"
    )])
    message = "the image ${each.value} comes from a registry that is not allowed; push it to ${join(" or ", var.allowed_registries)} and name it from there"
  }
}

variable "required" {
  description = "keys that a job's meta block must have"
  type        = list(string)
  default     = ["owner"]
}

variable "owners" {
  description = "the values that meta.owner may have; none for any"
  type        = list(string)
  default     = []
}

policy "ownership" {
  description = "Every job says in its meta block whom to ask about it."
  why         = "At three in the morning the person on call sees a job ID and nothing else. Jobs without an owner are also those that nobody dares to stop: they were found running years after their authors had left, with images to match. A key in meta reaches alerts and reports, since Nomad shows it in its API."

  rule "meta" {
    description = "the required keys are there and not empty"
    scope       = "job"
    assert      = alltrue([for key in var.required : try(trimspace(job.meta[key]), "") != ""])
    message     = "the job's meta block lacks ${join(", ", [for key in var.required : key if try(trimspace(job.meta[key]), "") == ""])}; add it, so that others know whom to ask"
  }

  rule "owner" {
    description = "the owner is one that exists, if any are listed"
    scope       = "job"
    when        = length(var.owners) > 0 && try(trimspace(job.meta.owner), "") != ""
    assert      = contains(var.owners, job.meta.owner)
    message     = "meta.owner is ${job.meta.owner}, which is none of ${join(", ", var.owners)}; name who owns the job, or add the team to the policy"
  }
}

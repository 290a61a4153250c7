policy "periodic" {
  description = "Periodic jobs do not pile up."
  why         = "A nightly backup that hangs is started again every night: after a week seven of them lock the same tables, and none ends. Without prohibit_overlap nothing stops that. With it Nomad skips the launch, and the one run that hangs is what is left to look at."

  match {
    when = job.periodic != null
  }

  rule "overlap" {
    description = "a launch is skipped while the last one runs"
    scope       = "job"
    assert      = job.periodic.prohibit_overlap
    message     = "the job is launched again while its last launch still runs; set prohibit_overlap = true in its periodic block"
  }
}

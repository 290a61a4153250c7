# env and meta as blocks and as maps.
job "maps" {
  meta = {
    "dotted.key" = "v"
    number       = 5
  }
  group "g" {
    meta = {}
    task "block" {
      driver = "exec"
      env {
        A = "${NOMAD_ALLOC_ID}-${upper("x")}"
        b = 1.50
        C = false
        D = 1e3
      }
      meta {}
    }
    task "map" {
      driver = "exec"
      env = {
        A       = "a",
        "b.c"   = true
        (upper("d")) = 2
      }
      meta = merge({ x = 1 }, { y = "z" })
    }
  }
}

# A block that nomad/api knows and nobody writes: without `port` it is kept.
job "reserved" {
  group "g" {
    network {
      reserved_ports "ssh" {
        static = 22
      }
    }
  }
}

# The shortcuts of constraint and affinity, and which one wins.
job "constraints" {
  constraint {
    attribute = "${attr.a}"
    version   = ">= 1.2"
  }
  constraint {
    attribute = "${attr.a}"
    semver    = ">= 1.2.0"
  }
  constraint {
    attribute = "${attr.a}"
    regexp    = "[a-z]+"
  }
  constraint {
    attribute    = "${attr.a}"
    set_contains = "x,y"
  }
  constraint {
    distinct_hosts = "true"
  }
  constraint {
    distinct_hosts = false
  }
  constraint {
    distinct_property = "${meta.rack}"
    value             = 2
  }
  constraint {
    attribute        = "${attr.a}"
    set_contains_any = "x"
    is_set           = "yes"
  }
  constraint {
    attribute = "${attr.a}"
    operator  = "is_set"
    value     = null
  }
  constraint {
    attribute    = "${attr.a}"
    version      = "1"
    set_contains = "z"
  }

  affinity {
    attribute = "${attr.a}"
    version   = "1"
    weight    = "7"
  }
  affinity {
    attribute = "${attr.a}"
    semver    = "1.0.0"
  }
  affinity {
    attribute = "${attr.a}"
    regexp    = "x"
  }
  affinity {
    attribute        = "${attr.a}"
    set_contains_any = "x"
    set_contains_all = "y"
    weight           = 12.9
  }
  affinity {
    attribute    = "${attr.a}"
    set_contains = "z"
  }
}

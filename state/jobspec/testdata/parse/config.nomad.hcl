# The untyped shape of config.
job "config" {
  group "g" {
    task "t" {
      driver = "docker"
      config {
        string  = "s"
        integer = 3
        big     = 9007199254740993
        float   = 1.5
        bool    = true
        gone    = null
        list    = ["a", 1, true, null]
        empty   = []
        map     = { a = 1, "b.c" = "d" }
        wrapped = ({ a = 1 })
        maps    = [{ a = 1 }, { b = { c = 2 } }]
        mixed   = [{ a = 1 }, "x"]
        call    = merge({ a = 1 }, { b = 2 })
        for     = { for k in ["x", "y"] : k => upper(k) }

        mount {
          type = "bind"
          opts = {
            ro = true
          }
        }
        mount {
          type = "volume"
          none = null
          inner {
            deep {
              er = [1]
            }
          }
        }

        labelled "a" {
          x = 1
        }
        labelled "a" "b" {
          y = 2
        }
        labelled "c" {}

        dynamic "mount" {
          for_each = ["a"]
          content {
            source = mount.value
          }
        }
      }
    }
  }
}

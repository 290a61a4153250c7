# Functions that read files.
job "files" {
  group "g" {
    task "t" {
      driver = "exec"
      config {
        text   = file("files/motd.txt")
        base64 = filebase64("files/motd.txt")
        here   = fileexists("files/motd.txt")
        not    = fileexists("files/none")
        set    = fileset("files", "*.txt")
        base   = basename("a/b.txt")
        dir    = dirname("a/b.txt")
        home   = pathexpand("/x")
        abs    = abspath("/a/../b")
      }
    }
  }
}

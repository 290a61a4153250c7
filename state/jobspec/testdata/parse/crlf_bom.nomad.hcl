# BOM, CRLF, no final newline
job "crlf" {
  meta {
    a = "b"
  }
  group "g" {
    task "t" {
      driver = "exec"
      template {
        data = <<EOF
one
  two ${attr.x}
EOF
      }
    }
  }
}
# What Nomad fills in at run time stays, in the text that Nomad makes of it.
job "interpolation" {
  group "g" {
    task "t" {
      driver = "exec"
      config {
        whole    = "${node.unique.name}"
        bare     = attr.kernel.name
        within   = "a-${meta.rack}-b"
        index    = "${env["HOME"]} ${attr.list[0]}"
        spaces   = "${  attr.os  }"
        brace    = "${attr.os}}"
        json     = "{\"a\": ${attr.os} }"
        compared = "${node.class == "x" ? "yes" : "no"}"
        in_call  = upper("${NOMAD_JOB_NAME}-x")
        escaped  = "$${attr.os} %%{if}"
        port     = "${NOMAD_PORT_http}"
        unknown  = "${whatever}"
        loop     = [for node in ["a"] : "${node}-${attr.os}"]
        template = "%{ for x in ["a", "b"] }${x}${attr.os} %{ endfor }"
      }
      template {
        data = <<EOF
{{ env "NOMAD_IP" }} ${node.unique.id} $${literal}
	tab
EOF
      }
      template {
        data = <<-EOF
          indented ${attr.os}
            more
          "quoted" \n not a newline
        EOF
      }
    }
  }
}

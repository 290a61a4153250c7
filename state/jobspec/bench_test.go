package jobspec_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"nomad-reconcile/state/jobspec"
)

// jobFileLoad makes n job files of 2-4 KB, as varied as life: drivers, heredocs,
// locals, variables, comments; one in five runs sudo.
func jobFileLoad(n int) [][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([][]byte, n)
	for i := range out {
		out[i] = []byte(jobFile(r, i))
	}
	return out
}

func jobFile(r *rand.Rand, i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Service %d, owned by team %d.\nvariable \"image_tag\" {\n  type    = string\n  default = \"1.%d.0\"\n}\n\n", i, r.IntN(9), r.IntN(50))
	fmt.Fprintf(&b, "locals {\n  name   = \"svc-%d\"\n  labels = [\"team-%d\", \"tier-%d\"]\n}\n\n", i, r.IntN(9), r.IntN(3))
	fmt.Fprintf(&b, "job \"svc-%d\" {\n  datacenters = [\"dc1\", \"dc%d\"]\n  type        = \"service\"\n  priority    = %d\n\n", i, r.IntN(4), 50+r.IntN(40))
	b.WriteString("  constraint {\n    attribute = \"${attr.kernel.name}\"\n    value     = \"linux\"\n  }\n\n  update {\n    max_parallel = 2\n    canary       = 1\n    auto_revert  = true\n  }\n\n")
	for g := range 1 + r.IntN(2) {
		jobGroup(&b, r, g)
	}
	b.WriteString("}\n")
	return b.String()
}

func jobGroup(b *strings.Builder, r *rand.Rand, g int) {
	fmt.Fprintf(b, "  group \"group-%d\" {\n    count = %d\n\n    network {\n      mode = \"bridge\"\n      port \"http\" {\n        to = %d\n      }\n      port \"metrics\" {}\n    }\n\n", g, 1+r.IntN(5), 8000+r.IntN(99))
	b.WriteString("    service {\n      name = \"${local.name}\"\n      port = \"http\"\n      tags = local.labels\n      check {\n        type     = \"http\"\n        path     = \"/health\"\n        interval = \"10s\"\n        timeout  = \"2s\"\n      }\n    }\n\n")
	for t := range 1 + r.IntN(2) {
		jobTask(b, r, t)
	}
	b.WriteString("  }\n")
}

func jobTask(b *strings.Builder, r *rand.Rand, t int) {
	fmt.Fprintf(b, "    # The main process.\n    task \"task-%d\" {\n", t)
	if r.IntN(5) == 0 {
		b.WriteString("      driver = \"raw_exec\"\n      config {\n        command = \"sudo\"\n        args    = [\"-E\", \"/opt/run.sh\", \"--verbose\"] # needs the environment\n      }\n")
	} else {
		fmt.Fprintf(b, "      driver = \"docker\"\n      config {\n        image = \"registry.example.com/app-%d:${var.image_tag}\"\n        ports = [\"http\", \"metrics\"]\n        mount {\n          type   = \"bind\"\n          source = \"local\"\n          target = \"/data\"\n        }\n      }\n", r.IntN(99))
	}
	b.WriteString("\n      env {\n")
	for k := range 3 + r.IntN(6) {
		fmt.Fprintf(b, "        SETTING_%d = \"value %d\"\n", k, r.IntN(999))
	}
	b.WriteString("        NODE      = \"${node.unique.name}\"\n      }\n\n      resources {\n        cpu    = 500\n        memory = 256\n      }\n")
	if r.IntN(2) == 0 {
		b.WriteString("\n      template {\n        data        = <<-EOF\n          {{ range service \"db\" }}\n          server={{ .Address }}:{{ .Port }}\n          {{ end }}\n          region=${NOMAD_REGION}\n        EOF\n        destination = \"local/app.conf\"\n        change_mode = \"restart\"\n      }\n")
	}
	b.WriteString("    }\n")
}

// BenchmarkFloor is the HCL parse alone: what nobody can be faster than.
func BenchmarkFloor(b *testing.B) {
	files := jobFileLoad(200)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, diags := hclsyntax.ParseConfig(files[i%len(files)], "x", hcl.InitialPos); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

// BenchmarkParse is Parse on the same files: compare it with the floor.
func BenchmarkParse(b *testing.B) {
	files := jobFileLoad(200)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, diags := jobspec.Parse("x", files[i%len(files)], jobspec.Inputs{}); diags.HasErrors() {
			b.Fatal(diags)
		}
	}
}

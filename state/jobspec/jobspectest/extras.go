package jobspectest

import "fmt"

// extras are additions to the draft, each of which may be made once.
func (d *draft) extras() []func() {
	out := []func(){d.meta, d.remarkInHead, d.kernelConstraint, d.versionConstraint, d.affinity, d.spread, d.reschedule}
	for _, g := range d.groups {
		out = append(out, func() { d.restart(g) }, func() { d.volume(g) }, func() { d.disk(g) }, func() { d.metricsService(g) }, func() { d.scaling(g) })
		for _, t := range g.tasks {
			out = append(out, func() { d.configTemplate(t) }, func() { d.envTemplate(t) }, func() { d.plainTemplate(t) },
				func() { d.artifact(t) }, func() { d.logs(t) }, func() { d.stop(t) }, func() { d.vault(t) }, func() { d.remarkInEnv(t) },
				func() { t.setEnv(d) }, func() { t.setEnv(d) }, func() { t.setEnv(d) })
		}
	}
	return out
}

func (d *draft) meta() {
	owner, centre := d.pick("blue", "green", "data"), 1000+d.r.IntN(99)
	if d.chance(40) {
		d.body = append(d.body, fmt.Sprintf("meta = {\n  owner     = %q\n  \"git.url\" = \"https://git.example.com/%s.git\"\n}", owner, d.app))
		return
	}
	d.body = append(d.body, fmt.Sprintf("meta {\n  owner       = %q\n  cost-centre = \"%d\"\n}", owner, centre))
}

func (d *draft) remarkInHead() {
	d.head = append(d.head, fmt.Sprintf("/*\n * %s\n *\n * Deployed by the pipeline; change it in git, not here.\n */", d.id), d.remark())
}

func (d *draft) kernelConstraint() {
	d.body = append(d.body, "constraint {\n  attribute = \"${attr.kernel.name}\"\n  value     = \"linux\"\n}")
}

func (d *draft) versionConstraint() {
	d.body = append(d.body, fmt.Sprintf("constraint {\n  attribute = \"${attr.nomad.version}\"\n  operator  = \"semver\"\n  value     = \">= 1.%d.0\" %s\n}", d.r.IntN(9), d.remark()))
}

func (d *draft) affinity() {
	d.body = append(d.body, fmt.Sprintf("affinity {\n  attribute = \"${node.class}\"\n  value     = %q\n  weight    = %d\n}", d.pick("large", "ssd", "gpu"), 10+d.r.IntN(80)))
}

func (d *draft) spread() {
	d.body = append(d.body, "spread {\n  attribute = \"${node.datacenter}\"\n  weight    = 100\n  target \"dc1\" {\n    percent = 60\n  }\n}")
}

func (d *draft) reschedule() {
	d.body = append(d.body, "reschedule {\n  delay          = \"30s\"\n  delay_function = \"exponential\"\n  max_delay      = \"1h\"\n  unlimited      = true\n}")
}

func (d *draft) restart(g *group) {
	g.body = append(g.body, fmt.Sprintf("restart {\n  attempts = %d\n  interval = \"30m\"\n  delay    = \"15s\"\n  mode     = %q\n}", 2+d.r.IntN(9), d.pick("fail", "delay")))
}

func (d *draft) volume(g *group) {
	g.body = append(g.body, d.remark(), fmt.Sprintf("volume \"data\" {\n  type      = \"host\"\n  source    = \"%s-data\"\n  read_only = %t\n}", d.app, d.chance(40)))
	t := g.tasks[0]
	t.body = append(t.body, "volume_mount {\n  volume      = \"data\"\n  destination = \"/var/lib/app\"\n}")
}

func (d *draft) disk(g *group) {
	g.body = append(g.body, fmt.Sprintf("ephemeral_disk {\n  size   = %d\n  sticky = true\n}", 300+100*d.r.IntN(9)))
}

func (d *draft) metricsService(g *group) {
	if d.kind != "service" && d.kind != "system" {
		return
	}
	g.body = append(g.body, fmt.Sprintf("service {\n  name = \"${local.name}-%s-metrics\"\n  port = \"metrics\"\n  tags = [\"prometheus\"]\n  meta {\n    scrape = \"true\"\n  }\n}", g.name))
}

func (d *draft) scaling(g *group) {
	if d.kind != "service" {
		return
	}
	g.body = append(g.body, fmt.Sprintf("scaling {\n  enabled = true\n  min     = 1\n  max     = %d\n}", 6+d.r.IntN(9)))
}

func (d *draft) configTemplate(t *task) {
	t.body = append(t.body, fmt.Sprintf("template {\n  data        = <<-EOF\n    # rendered by Nomad\n    {{ range nomadService %q }}\n    server={{ .Address }}:{{ .Port }}\n    {{ end }}\n    region = ${NOMAD_REGION}\n    name   = ${local.name}\n  EOF\n  destination = \"local/app.conf\"\n  change_mode = %q\n}", d.app+"-db", d.pick("restart", "noop")))
}

func (d *draft) envTemplate(t *task) {
	t.body = append(t.body, "template {\n  data = <<EOF\n{{ with nomadVar \"nomad/jobs/"+d.id+"\" }}\nAPI_TOKEN={{ .token }}\n{{ end }}\nSTARTED_BY=nomad\nEOF\n  destination = \"secrets/app.env\"\n  env         = true\n}")
}

func (d *draft) plainTemplate(t *task) {
	t.body = append(t.body, d.remark(), fmt.Sprintf("template {\n  data          = \"listen: 0.0.0.0\\nlevel: %s\\nhost: $${HOSTNAME}\\n\"\n  destination   = \"local/%s.yml\"\n  change_mode   = \"signal\"\n  change_signal = \"SIGHUP\"\n}", d.pick("info", "warn"), t.name))
}

func (d *draft) artifact(t *task) {
	t.body = append(t.body, fmt.Sprintf("artifact {\n  source      = \"https://artifacts.example.com/%s/%d.tgz\"\n  destination = \"local/\"\n  options {\n    checksum = \"md5:%032x\"\n  }\n}", d.app, d.r.IntN(999), d.r.Uint64()))
}

func (d *draft) logs(t *task) {
	t.body = append(t.body, fmt.Sprintf("logs {\n  max_files     = %d\n  max_file_size = 15\n}", 2+d.r.IntN(5)))
}

func (d *draft) stop(t *task) {
	t.body = append(t.body, fmt.Sprintf("kill_timeout = \"%ds\"\nkill_signal  = %q", 10+d.r.IntN(50), d.pick("SIGTERM", "SIGINT")))
}

func (d *draft) vault(t *task) {
	t.body = append(t.body, fmt.Sprintf("vault {\n  role        = %q\n  change_mode = \"restart\"\n}", d.app))
}

func (d *draft) remarkInEnv(t *task) { t.env = append(t.env, d.remark()) }

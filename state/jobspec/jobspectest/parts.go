package jobspectest

import (
	"fmt"
	"strings"
)

// skeleton is what every job has: some variables and locals, a type, one or two
// groups with one or two tasks each.
func (d *draft) skeleton() {
	d.app = d.pick("orders", "billing", "search", "ingest", "mailer", "gateway", "reports", "auth", "cache", "etl-nightly")
	d.id = fmt.Sprintf("%s-%05d", d.app, d.i)
	d.kind = d.pick("service", "service", "service", "service", "system", "batch", "batch", "sysbatch")
	d.values = []string{"${node.unique.name}", "${attr.unique.network.ip-address}", "${NOMAD_ALLOC_ID}", "${NOMAD_TASK_DIR}/data"}
	if d.chance(70) {
		d.head = append(d.head, d.comment(fmt.Sprintf("Job %s of team %s.", d.id, d.pick("blue", "green", "data", "core"))))
	}
	for _, add := range []func(){d.variableTag, d.variableRegion, d.variableList} {
		if d.chance(50) {
			add()
		}
	}
	d.locals()
	d.jobHeader()
	for n := range 1 + d.r.IntN(5)/3 {
		d.group(n)
	}
}

func (d *draft) variableTag() {
	d.head = append(d.head, fmt.Sprintf("variable \"image_tag\" {\n  description = \"What the pipeline built.\"\n  type        = string\n  default     = \"%d.%d.%d\"\n}", 1+d.r.IntN(3), d.r.IntN(20), d.r.IntN(9)))
	d.values = append(d.values, "v${var.image_tag}")
}

func (d *draft) variableRegion() {
	d.head = append(d.head, fmt.Sprintf("variable \"region\" {\n  type    = string\n  default = %q\n}", d.pick("eu-central", "us-east", "cn-north")))
	d.values = append(d.values, "${upper(var.region)}", "https://${var.region}.example.com")
}

func (d *draft) variableList() {
	d.head = append(d.head, fmt.Sprintf("variable \"brokers\" {\n  type = list(string)\n  default = [\n    \"broker-1.internal:%d\", %s\n    \"broker-2.internal:%[1]d\",\n  ]\n}", 9092+d.r.IntN(3), d.comment("primary")))
	d.values = append(d.values, "${join(\",\", var.brokers)}")
}

// locals are made by the functions that people use most.
func (d *draft) locals() {
	lines := []string{fmt.Sprintf("name   = %q", d.app)}
	d.values = append(d.values, "${local.name}")
	for _, l := range []struct{ line, value string }{
		{fmt.Sprintf("labels = concat([\"team-%d\"], [\"tier-%d\", local.name])", d.r.IntN(9), d.r.IntN(3)), "${local.labels[0]}"},
		{fmt.Sprintf("prefix = format(\"%%s-%%02d\", local.name, %d)", d.r.IntN(40)), "${local.prefix}"},
		{fmt.Sprintf("flags  = jsonencode({ retries = %d, dry_run = false, hosts = [\"a\", \"b\"] })", d.r.IntN(9)), "${local.flags}"},
		{fmt.Sprintf("limits = merge({ soft = %d }, { hard = 4096 })", 512+d.r.IntN(9)), "${local.limits.hard}"},
		{"tags   = [for t in [\"http\", \"public\"] : \"${local.name}-${t}\"]", "${join(\"+\", local.tags)}"},
	} {
		if d.chance(30) {
			lines, d.values = append(lines, l.line), append(d.values, l.value)
		}
	}
	d.head = append(d.head, "locals {\n  "+strings.Join(lines, "\n  ")+"\n}")
}

func (d *draft) jobHeader() {
	d.body = append(d.body, fmt.Sprintf("datacenters = [\"dc1\", \"dc%d\"]\ntype        = %q", 2+d.r.IntN(4), d.kind))
	if d.chance(50) {
		d.body = append(d.body, fmt.Sprintf("priority    = %d %s", 40+d.r.IntN(40), d.comment("of 100")))
	}
	switch d.kind {
	case "batch", "sysbatch":
		if d.chance(60) {
			d.body = append(d.body, fmt.Sprintf("periodic {\n  crons            = [\"%d %d * * *\"]\n  time_zone        = \"Europe/Berlin\"\n  prohibit_overlap = true\n}", d.r.IntN(60), d.r.IntN(24)))
		}
	default:
		d.body = append(d.body, fmt.Sprintf("update {\n  max_parallel     = %d\n  min_healthy_time = \"10s\"\n  auto_revert      = true\n}", 1+d.r.IntN(3)))
	}
}

func (d *draft) group(n int) {
	g := &group{name: []string{"main", "workers"}[n]}
	if d.kind != "system" && d.kind != "sysbatch" {
		g.body = append(g.body, fmt.Sprintf("count = %d", 1+d.r.IntN(6)))
	}
	if d.kind == "service" || d.kind == "system" {
		g.body = append(g.body, d.network(), d.service(g))
	}
	for t := range 1 + d.r.IntN(4)/3 {
		g.tasks = append(g.tasks, d.task([]string{"app", "sidecar"}[t]))
	}
	d.groups = append(d.groups, g)
}

func (d *draft) network() string {
	return fmt.Sprintf("network {\n  mode = %q\n  port \"http\" {\n    to = %d\n  }\n  port \"metrics\" {}\n}", d.pick("bridge", "host", "bridge"), 8000+d.r.IntN(99))
}

func (d *draft) service(g *group) string {
	check := d.pick(
		"type     = \"http\"\n    path     = \"/health\"\n    interval = \"10s\"\n    timeout  = \"2s\"",
		"type     = \"tcp\"\n    interval = \"15s\"\n    timeout  = \"3s\"",
		"name     = \"ready\"\n    type     = \"http\"\n    path     = \"/ready?full=1\"\n    interval = \"30s\"\n    timeout  = \"5s\"\n    check_restart {\n      limit = 3\n      grace = \"90s\"\n    }",
	)
	return fmt.Sprintf("service {\n  name     = \"${local.name}-%s\"\n  port     = \"http\"\n  provider = \"nomad\"\n  tags     = [\"%s\", %q]\n\n  check {\n    %s\n  }\n}", g.name, d.pick("traefik.enable=true", "urlprefix-/", "internal"), d.app, check)
}

func (d *draft) task(name string) *task {
	t := &task{name: name, driver: d.pick("docker", "docker", "docker", "raw_exec", "exec", "java"), keys: map[string]bool{}, envMap: d.chance(15)}
	switch t.driver {
	case "docker":
		t.config = d.docker()
	case "java":
		t.config = []string{fmt.Sprintf("jar_path    = \"local/%s.jar\"", d.app), fmt.Sprintf("jvm_options = [\"-Xmx%dm\", \"-Xms256m\", \"-Duser.timezone=UTC\"]", 512+256*d.r.IntN(4))}
	default:
		t.config = []string{fmt.Sprintf("command = \"/opt/%s/bin/run\"", d.app), d.pick(
			"args    = [\"--config\", \"local/app.conf\", \"--verbose\"]",
			"args = [\n  \"-c\",\n  \"exec /bin/server --port ${NOMAD_PORT_http}\", "+d.comment("no shell stays")+"\n]",
			"args    = concat([\"serve\"], [\"--name\", local.name])",
		)}
	}
	for range 2 + d.r.IntN(3) {
		t.setEnv(d)
	}
	t.body = append(t.body, fmt.Sprintf("resources {\n  cpu    = %d\n  memory = %d\n}", 100*(1+d.r.IntN(9)), 128*(1+d.r.IntN(9))))
	return t
}

func (d *draft) docker() []string {
	tag := fmt.Sprint("1.", d.r.IntN(30))
	if strings.Contains(strings.Join(d.values, " "), "var.image_tag") {
		tag = "${var.image_tag}"
	}
	lines := []string{fmt.Sprintf("image = \"registry.example.com/%s/app-%d:%s\"", d.app, d.r.IntN(99), tag)}
	for _, part := range []string{
		"ports = [\"http\", \"metrics\"]",
		"mount {\n  type     = \"bind\"\n  source   = \"local/conf\"\n  target   = \"/etc/app\"\n  readonly = true\n}",
		"logging {\n  type = \"journald\"\n  config {\n    tag = \"" + d.app + "\"\n  }\n}",
		"ulimit {\n  nofile = \"65536:65536\"\n}",
		"labels = {\n  \"com.example.team\" = \"core\"\n  tier               = \"" + d.pick("gold", "silver") + "\"\n}",
	} {
		if d.chance(30) {
			lines = append(lines, part)
		}
	}
	return lines
}

// setEnv adds one variable, whose name is not there yet.
func (t *task) setEnv(d *draft) {
	key := d.pick("LOG", "HTTP", "DB", "CACHE", "QUEUE", "APP", "OTEL", "FEATURE") + "_" +
		d.pick("LEVEL", "HOST", "PORT", "URL", "NAME", "TIMEOUT", "RETRIES", "MODE", "POOL_SIZE", "PREFIX")
	if t.keys[key] {
		key = fmt.Sprintf("%s_%d", key, len(t.env))
	}
	t.keys[key] = true
	value := `"` + d.pick(d.values...) + `"`
	switch d.r.IntN(4) {
	case 0:
		value = fmt.Sprint(d.r.IntN(9000))
	case 1, 2:
		value = fmt.Sprintf("%q", d.pick("info", "debug", "postgres.service.consul", "/var/lib/app", "true", "10s", "https://example.com/api/v1?limit=50"))
	}
	t.env = append(t.env, fmt.Sprintf("%-16s = %s", key, value))
}

// run makes t a task that runs a program on the host.
func (t *task) run(driver string, config ...string) {
	t.driver, t.config = driver, config
}

// preservingTask makes one task ask sudo for its caller's environment, in one of
// the ways in which job files do.
func (d *draft) preservingTask() {
	program := fmt.Sprintf("\"/opt/%s/run.sh\"", d.app)
	ways := []string{
		"args    = [\"-E\", " + program + ", \"--verbose\"] " + d.comment("needs the environment"),
		"args    = [\"-E\", " + program + "]",
		"args = [\n  \"-E\",\n  " + program + ", " + d.comment("main") + "\n  \"--port\", \"${NOMAD_PORT_http}\",\n]",
		"args    = [\"-n\", \"-E\", \"-u\", \"app\", " + program + "]",
		"args    = [\"-nE\", " + program + ", \"--name\", local.name]",
		"args    = [\"--preserve-env\", " + program + "]",
		"args    = [\"--preserve-env=PATH,HOME\", " + program + "]",
		"args    = [\"-u\", \"app\", \"-E\", \"/usr/bin/env\", \"python3\", \"-m\", \"worker\"]",
		"args    = local.sudo_args",
		"args    = concat([\"-E\"], local.run_args)",
	}
	way := d.r.IntN(len(ways))
	switch way {
	case 8:
		d.head = append(d.head, "locals {\n  sudo_args = [\"-E\", "+program+", \"--verbose\"]\n}")
	case 9:
		d.head = append(d.head, "locals {\n  run_args = ["+program+", \"serve\"]\n}")
	}
	d.anyTask().run(d.pick("raw_exec", "raw_exec", "exec"), "command = \"sudo\"", ways[way])
}

// harmlessSudoTask uses sudo as it should be.
func (d *draft) harmlessSudoTask() {
	d.anyTask().run("raw_exec", "command = \"sudo\"", d.pick(
		"args    = [\"-n\", \"-u\", \"app\", \"/opt/"+d.app+"/run.sh\"]",
		"args    = [\"-H\", \"/usr/local/bin/backup\", \"--all\"]",
	))
}

package jobspec_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
)

func parse(t testing.TB, src string, in jobspec.Inputs) *jobspec.File {
	t.Helper()
	f, diags := jobspec.Parse("test.nomad.hcl", []byte(src), in)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, src)
	}
	return f
}

// inTask is a job file whose task holds that text, one level deep.
func inTask(body string) string {
	return "job \"app\" {\n  group \"g\" {\n    task \"t\" {\n" + body + "    }\n  }\n}\n"
}

const task = `group["g"].task["t"].`

type editCase struct {
	name          string
	before, after string // whole files
	edits         []job.Edit
}

func set(p string, v cty.Value) job.Edit {
	return job.Edit{Path: mustPath(p), Op: job.Set, Value: v}
}

func text(p, v string) job.Edit { return set(p, cty.StringVal(v)) }

func remove(p string) job.Edit { return job.Edit{Path: mustPath(p), Op: job.Remove} }

func replace(p, old, by string) job.Edit {
	return job.Edit{Path: mustPath(p), Op: job.Replace, Old: old, Value: cty.StringVal(by)}
}

func replaceAt(p, old string, at int, by string) job.Edit {
	e := replace(p, old, by)
	e.At = at
	return e
}

func mustPath(s string) job.Path {
	if strings.HasPrefix(s, ".") {
		s = task + s[1:]
	}
	p, err := job.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

// args is a task with that list on line 6.
func args(list string) string {
	return inTask("      driver = \"raw_exec\"\n      config {\n        command = \"sudo\"\n        args    = " + list + "\n      }\n")
}

func removeFirst(name, before, after string) editCase {
	return editCase{name: name, before: args(before), after: args(after), edits: []job.Edit{remove(".config.args[0]")}}
}

func removeAt(i, name, before, after string) editCase {
	return editCase{name: name, before: args(before), after: args(after), edits: []job.Edit{remove(".config.args[" + i + "]")}}
}

var listCases = []editCase{
	removeFirst("one line", `["-E", "x"]`, `["x"]`),
	removeFirst("one line, only element", `["-E"]`, `[]`),
	removeFirst("one line, only element, trailing comma", `["-E",]`, `[]`),
	removeFirst("one line, only element, spaces", `[ "-E" ]`, `[]`),
	removeFirst("spaces inside the brackets", `[ "-E", "x" ]`, `[ "x" ]`),
	removeAt("1", "one line, last", `["x", "-E"]`, `["x"]`),
	removeAt("1", "one line, last, trailing comma", `["x", "-E",]`, `["x",]`),
	removeAt("1", "one line, middle", `["x", "-E", "y"]`, `["x", "y"]`),
	removeFirst("comment before, in the line", `[/* why */ "-E", "x"]`, `[/* why */ "x"]`),
	removeFirst("comment of its own, in the line", `["-E" /* why */, "x"]`, `["x"]`),
	removeAt("1", "comment of the one before", `["x" /* the x */, "-E"]`, `["x" /* the x */, ]`),
	removeFirst("many lines", "[\n          \"-E\",\n          \"x\",\n        ]", "[\n          \"x\",\n        ]"),
	removeAt("1", "many lines, last, no trailing comma", "[\n          \"x\",\n          \"-E\"\n        ]", "[\n          \"x\",\n        ]"),
	removeFirst("many lines, only element", "[\n          \"-E\",\n        ]", "[\n        ]"),
	removeFirst("its trailing comment goes along", "[\n          \"-E\", # keep the environment\n          \"x\", # the script\n        ]", "[\n          \"x\", # the script\n        ]"),
	removeFirst("its trailing // comment goes along", "[\n          \"-E\", // keep\n          \"x\",\n        ]", "[\n          \"x\",\n        ]"),
	removeFirst("its trailing /* */ comment goes along", "[\n          \"-E\", /* keep */\n          \"x\",\n        ]", "[\n          \"x\",\n        ]"),
	removeAt("1", "comments around it stay", "[\n          # first\n          \"x\",\n          # preserve\n          \"-E\",\n          # last\n          \"y\",\n        ]",
		"[\n          # first\n          \"x\",\n          # preserve\n          # last\n          \"y\",\n        ]"),
	removeFirst("first on the bracket's line", "[\"-E\",\n          \"x\"]", "[\n          \"x\"]"),
	removeFirst("first on the bracket's line, comment", "[\"-E\", # keep\n          \"x\"]", "[\n          \"x\"]"),
	removeAt("1", "last on the bracket's line", "[\n          \"x\",\n          \"-E\"]", "[\n          \"x\",\n          ]"),
	removeAt("1", "two in a line, the second", "[\n          \"x\", \"-E\", # both\n          \"y\",\n        ]", "[\n          \"x\", # both\n          \"y\",\n        ]"),
	removeAt("0", "two in a line, the first", "[\n          \"-E\", \"x\", # both\n          \"y\",\n        ]", "[\n          \"x\", # both\n          \"y\",\n        ]"),
	removeAt("1", "two in the last line", "[\n          \"x\", \"-E\"\n        ]", "[\n          \"x\"\n        ]"),
	removeFirst("tabs", "[\n\t\t\t\t\t\"-E\",\n\t\t\t\t\t\"x\",\n\t\t\t\t]", "[\n\t\t\t\t\t\"x\",\n\t\t\t\t]"),
	removeFirst("non-ASCII neighbours", `["-E", "käse", "日本"]`, `["käse", "日本"]`),
	removeFirst("concat", `concat(["-E", "a"], ["b"])`, `concat(["a"], ["b"])`),
	removeAt("1", "concat, the second list", `concat(["a"], ["-E"], ["b"])`, `concat(["a"], [], ["b"])`),
	removeFirst("flatten", `flatten([["-E", "a"], ["b"]])`, `flatten([["a"], ["b"]])`),
	removeFirst("conditional", `true ? ["-E", "a"] : ["-E", "b"]`, `true ? ["a"] : ["-E", "b"]`),
	removeFirst("parentheses", `(["-E", "a"])`, `(["a"])`),
	removeAt("1", "an element that is a reference", `["x", node.class]`, `["x"]`),
	removeFirst("compact", `compact(["-E", "", "a"])`, `compact(["", "a"])`),
	{
		name: "two of a list", before: args(`["-E", "x", "-E", "y"]`), after: args(`["x", "y"]`),
		edits: []job.Edit{remove(".config.args[0]"), remove(".config.args[2]")},
	},
	{
		name: "set an element", before: args(`["a", "b"] # c`), after: args(`["a", "z"] # c`),
		edits: []job.Edit{text(".config.args[1]", "z")},
	},
	{
		name: "part of an element", before: args(`["-c", "sudo -E -u root ${NOMAD_TASK_DIR}/run.sh \"a b\""]`),
		after: args(`["-c", "sudo -u root ${NOMAD_TASK_DIR}/run.sh \"a b\""]`),
		edits: []job.Edit{replace(".config.args[1]", "-E ", "")},
	},
	{
		name: "the second of equal parts", before: args(`["-c", "sudo -E ${var_a} a; sudo -E a"]`),
		after: args(`["-c", "sudo -E ${var_a} a; sudo a"]`),
		edits: []job.Edit{replaceAt(".config.args[1]", " -E", 24, "")},
	},
	{
		name: "both of equal parts", before: args(`["-c", "sudo -E ${meta.a} a; sudo -E a"]`),
		after: args(`["-c", "sudo ${meta.a} a; sudo a"]`),
		edits: []job.Edit{replaceAt(".config.args[1]", " -E", 4, ""), replaceAt(".config.args[1]", " -E", 25, "")},
	},
	{
		name:   "equal parts from one local",
		before: "locals {\n  run = \"sudo -E\"\n}\n" + args(`["${local.run} a", "cd x; ${local.run} b"]`),
		after:  "locals {\n  run = \"sudo\"\n}\n" + args(`["${local.run} a", "cd x; ${local.run} b"]`),
		edits:  []job.Edit{replaceAt(".config.args[0]", " -E", 4, ""), replaceAt(".config.args[1]", " -E", 10, "")},
	},
	{
		name:   "two parts of one local, used twice",
		before: "locals {\n  run = \"sudo -E a; sudo -E b\"\n}\n" + args(`[local.run, local.run]`),
		after:  "locals {\n  run = \"sudo a; sudo b\"\n}\n" + args(`[local.run, local.run]`),
		edits: []job.Edit{replaceAt(".config.args[0]", " -E", 4, ""), replaceAt(".config.args[0]", " -E", 15, ""),
			replaceAt(".config.args[1]", " -E", 4, ""), replaceAt(".config.args[1]", " -E", 15, "")},
	},
	{
		name: "a quoted part", before: args(`["echo \"old\" \u00e4"]`), after: args(`["echo \"new\" \u00e4"]`),
		edits: []job.Edit{replace(".config.args[0]", `"old"`, `"new"`)},
	},
	{
		name: "the whole list", before: args(`["a", "b"]`), after: args(`["c"]`),
		edits: []job.Edit{set(".config.args", cty.TupleVal([]cty.Value{cty.StringVal("c")}))},
	},
	{
		name: "the attribute", before: args(`["a"] # gone too`),
		after: strings.Replace(args("X"), "        args    = X\n", "", 1),
		edits: []job.Edit{remove(".config.args")},
	},
}

// withTop puts text before the job.
func withTop(top, src string) string { return top + "\n" + src }

var feedCases = []editCase{
	{
		name:   "from a local",
		before: withTop("locals {\n  args = [\"-E\", \"x\"] # of all\n}\n", args("local.args")),
		after:  withTop("locals {\n  args = [\"x\"] # of all\n}\n", args("local.args")),
		edits:  []job.Edit{remove(".config.args[0]")},
	},
	{
		name:   "from a local inside concat",
		before: withTop("locals {\n  flags = [\"-n\", \"-E\"]\n}\n", args(`concat(local.flags, ["x"])`)),
		after:  withTop("locals {\n  flags = [\"-n\"]\n}\n", args(`concat(local.flags, ["x"])`)),
		edits:  []job.Edit{remove(".config.args[1]")},
	},
	{
		name:   "beside a local inside concat",
		before: withTop("locals {\n  rest = [\"x\"]\n}\n", args(`concat(["-E"], local.rest)`)),
		after:  withTop("locals {\n  rest = [\"x\"]\n}\n", args(`concat([], local.rest)`)),
		edits:  []job.Edit{remove(".config.args[0]")},
	},
	{
		name:   "from a variable's default",
		before: withTop("variable \"args\" {\n  type    = list(string)\n  default = [\"-E\", \"x\"]\n}\n", args("var.args")),
		after:  withTop("variable \"args\" {\n  type    = list(string)\n  default = [\"x\"]\n}\n", args("var.args")),
		edits:  []job.Edit{remove(".config.args[0]")},
	},
	{
		name:   "through two locals and an object",
		before: withTop("locals {\n  all = { sudo = { args = [\"-E\"] } }\n  mine = local.all.sudo\n}\n", args(`local.mine["args"]`)),
		after:  withTop("locals {\n  all = { sudo = { args = [] } }\n  mine = local.all.sudo\n}\n", args(`local.mine["args"]`)),
		edits:  []job.Edit{remove(".config.args[0]")},
	},
	{
		name:   "a string out of a local in an interpolation",
		before: withTop("locals {\n  flag = \"-E \"\n}\n", args(`["sudo ${local.flag}x"]`)),
		after:  withTop("locals {\n  flag = \"\"\n}\n", args(`["sudo ${local.flag}x"]`)),
		edits:  []job.Edit{replace(".config.args[0]", "-E ", "")},
	},
	{
		name:   "set what an interpolation makes",
		before: inTask("      driver = \"docker\"\n      config {\n        image = \"repo/${NOMAD_JOB_NAME}:latest\"\n      }\n"),
		after:  inTask("      driver = \"docker\"\n      config {\n        image = \"repo/${NOMAD_JOB_NAME}:1.2\"\n      }\n"),
		edits:  []job.Edit{text(".config.image", "repo/${NOMAD_JOB_NAME}:1.2")},
	},
	{
		name:   "a number in a default",
		before: withTop("variable \"mem\" { default = 8192 }\n", inTask("      driver = \"docker\"\n      resources {\n        memory = var.mem\n      }\n")),
		after:  withTop("variable \"mem\" { default = 4096 }\n", inTask("      driver = \"docker\"\n      resources {\n        memory = var.mem\n      }\n")),
		edits:  []job.Edit{set(".resources.memory", cty.NumberIntVal(4096))},
	},
	{
		name:   "a key of a merge",
		before: withTop("locals {\n  env = { A = \"1\" }\n}\n", inTask("      env = merge(local.env, { B = \"2\" })\n")),
		after:  withTop("locals {\n  env = { A = \"9\" }\n}\n", inTask("      env = merge(local.env, { B = \"2\" })\n")),
		edits:  []job.Edit{text(".env.A", "9")},
	},
	{
		name:   "a local that two tasks share, both to be changed",
		before: "locals {\n  a = [\"-E\", \"x\"]\n}\n" + twoTasks,
		after:  "locals {\n  a = [\"x\"]\n}\n" + twoTasks,
		edits:  []job.Edit{remove(`group["g"].task["one"].config.args[0]`), remove(`group["g"].task["two"].config.args[0]`)},
	},
	{
		name:   "tasks that a dynamic block makes",
		before: dynamicTasks(`["-E", task.value]`),
		after:  dynamicTasks(`[task.value]`),
		edits:  []job.Edit{remove(`group["g"].task["a"].config.args[0]`), remove(`group["g"].task["b"].config.args[0]`)},
	},
}

const twoTasks = `job "app" {
  group "g" {
    task "one" {
      driver = "raw_exec"
      config { args = local.a }
    }
    task "two" {
      driver = "raw_exec"
      config { args = local.a }
    }
  }
}
`

func dynamicTasks(args string) string {
	return `job "app" {
  group "g" {
    dynamic "task" {
      for_each = ["a", "b"]
      labels   = [task.value]
      content {
        driver = "raw_exec"
        config {
          args = ` + args + `
        }
      }
    }
  }
}
`
}

var mapCases = []editCase{
	{
		name:   "env block made after driver",
		before: inTask("      driver = \"raw_exec\"\n      config {\n        command = \"x\"\n      }\n"),
		after:  inTask("      driver = \"raw_exec\"\n\n      env {\n        A = \"1\"\n      }\n\n      config {\n        command = \"x\"\n      }\n"),
		edits:  []job.Edit{text(".env.A", "1")},
	},
	{
		name:   "env block made after driver, two keys",
		before: inTask("      driver = \"raw_exec\"\n\n      config {\n        command = \"x\"\n      }\n"),
		after:  inTask("      driver = \"raw_exec\"\n\n      env {\n        LOG = \"1\"\n        B   = \"2\"\n      }\n\n      config {\n        command = \"x\"\n      }\n"),
		edits:  []job.Edit{text(".env.LOG", "1"), text(".env.B", "2")},
	},
	{
		name:   "env block made after the attributes that follow the driver",
		before: inTask("      driver       = \"docker\" # d\n      user         = \"u\"\n      kill_timeout = \"5s\"\n      config {\n      }\n      leader = true\n"),
		after:  inTask("      driver       = \"docker\" # d\n      user         = \"u\"\n      kill_timeout = \"5s\"\n\n      env {\n        A = \"1\"\n      }\n\n      config {\n      }\n      leader = true\n"),
		edits:  []job.Edit{text(".env.A", "1")},
	},
	{
		name:   "env block made after a driver behind blocks",
		before: inTask("      meta {\n      }\n      driver = \"docker\"\n      config {\n      }\n"),
		after:  inTask("      meta {\n      }\n      driver = \"docker\"\n\n      env {\n        A = \"1\"\n      }\n\n      config {\n      }\n"),
		edits:  []job.Edit{text(".env.A", "1")},
	},
	{
		name:   "key added, tight as the others",
		before: inTask("      env {\n        LONGER=1\n        B=\"2\"\n      }\n"),
		after:  inTask("      env {\n        LONGER=1\n        B=\"2\"\n        A=\"1\"\n      }\n"),
		edits:  []job.Edit{text(".env.A", "1")},
	},
	{
		name:   "env as a map, many lines that are not aligned",
		before: inTask("      env = {\n        X = 1\n        LONGER = 2\n      }\n"),
		after:  inTask("      env = {\n        X = 1\n        LONGER = 2\n        A = \"1\"\n      }\n"),
		edits:  []job.Edit{text(".env.A", "1")},
	},
	{
		name:   "env block as a whole",
		before: inTask("      driver = \"raw_exec\"\n"),
		after:  inTask("      driver = \"raw_exec\"\n\n      env {\n        A   = \"1\"\n        LOG = \"x\"\n      }\n"),
		edits:  []job.Edit{set(".env", cty.ObjectVal(map[string]cty.Value{"LOG": cty.StringVal("x"), "A": cty.StringVal("1")}))},
	},
	{
		name:   "key added, aligned",
		before: inTask("      env {\n        LOG_LEVEL = \"info\" # c\n        A         = \"1\"\n      }\n"),
		after:  inTask("      env {\n        LOG_LEVEL = \"info\" # c\n        A         = \"1\"\n        REGION    = \"eu\"\n      }\n"),
		edits:  []job.Edit{text(".env.REGION", "eu")},
	},
	{
		name:   "key added, too long to align",
		before: inTask("      env {\n        A = \"1\"\n      }\n"),
		after:  inTask("      env {\n        A = \"1\"\n        REGION = \"eu\"\n      }\n"),
		edits:  []job.Edit{text(".env.REGION", "eu")},
	},
	{
		name:   "key added behind a comment",
		before: inTask("      env {\n        A = \"1\" # one\n        # end\n      }\n"),
		after:  inTask("      env {\n        A = \"1\" # one\n        B = \"2\"\n        # end\n      }\n"),
		edits:  []job.Edit{text(".env.B", "2")},
	},
	{
		name:   "empty block",
		before: inTask("      env {}\n"),
		after:  inTask("      env {\n        B = \"2\"\n      }\n"),
		edits:  []job.Edit{text(".env.B", "2")},
	},
	{
		name:   "block on one line",
		before: inTask("      env { A = \"1\" }\n"),
		after:  inTask("      env {\n        A = \"1\"\n        B = \"2\"\n      }\n"),
		edits:  []job.Edit{text(".env.B", "2")},
	},
	{
		name:   "key changed",
		before: inTask("      env {\n        A   = \"1\" # one\n        LOG = \"x\"\n      }\n"),
		after:  inTask("      env {\n        A   = \"two\" # one\n        LOG = \"x\"\n      }\n"),
		edits:  []job.Edit{text(".env.A", "two")},
	},
	{
		name:   "key removed with its comment",
		before: inTask("      env {\n        # about A\n        A = \"1\" # one\n        # about B\n        B = \"2\"\n      }\n"),
		after:  inTask("      env {\n        # about A\n        # about B\n        B = \"2\"\n      }\n"),
		edits:  []job.Edit{remove(".env.A")},
	},
	{
		name:   "key removed whose value comes from elsewhere",
		before: "locals {\n  b = \"2\"\n}\n" + inTask("      env {\n        A = \"1\"\n        B = local.b\n      }\n"),
		after:  "locals {\n  b = \"2\"\n}\n" + inTask("      env {\n        A = \"1\"\n      }\n"),
		edits:  []job.Edit{remove(".env.B")},
	},
	{
		name:   "only key of a block on one line removed",
		before: inTask("      env { A = \"1\" }\n"),
		after:  inTask("      env {}\n"),
		edits:  []job.Edit{remove(".env.A")},
	},
	{
		name:   "env as a map, one line",
		before: inTask("      env = { A = \"1\" }\n"),
		after:  inTask("      env = { A = \"1\", B = \"2\" }\n"),
		edits:  []job.Edit{text(".env.B", "2")},
	},
	{
		name:   "env as a map, one line, trailing comma and colons",
		before: inTask("      env = { \"A\": \"1\", }\n"),
		after:  inTask("      env = { \"A\": \"1\", \"B\": \"2\", }\n"),
		edits:  []job.Edit{text(".env.B", "2")},
	},
	{
		name:   "env as an empty map",
		before: inTask("      env = {}\n"),
		after:  inTask("      env = { B = \"2\" }\n"),
		edits:  []job.Edit{text(".env.B", "2")},
	},
	{
		name:   "env as a map, many lines",
		before: inTask("      env = {\n        LOG = \"1\" # c\n        A   = \"x\"\n      }\n"),
		after:  inTask("      env = {\n        LOG = \"1\" # c\n        A   = \"x\"\n        BB  = \"2\"\n      }\n"),
		edits:  []job.Edit{text(".env.BB", "2")},
	},
	{
		name:   "env as a map, many lines, commas",
		before: inTask("      env = {\n        A = \"1\", # c\n        B = \"2\" # d\n      }\n"),
		after:  inTask("      env = {\n        A = \"1\", # c\n        B = \"2\", # d\n        C = \"3\"\n      }\n"),
		edits:  []job.Edit{text(".env.C", "3")},
	},
	{
		name:   "env as a map, a dotted key",
		before: inTask("      env = {\n        A = \"1\",\n      }\n"),
		after:  inTask("      env = {\n        A = \"1\",\n        \"b.c\" = \"2\",\n      }\n"),
		edits:  []job.Edit{text(`.env["b.c"]`, "2")},
	},
	{
		name:   "key of a map removed",
		before: inTask("      env = { A = \"1\", \"B\" = \"2\", C = \"3\" }\n"),
		after:  inTask("      env = { A = \"1\", C = \"3\" }\n"),
		edits:  []job.Edit{remove(".env.B")},
	},
	{
		name:   "key of a map on many lines removed",
		before: inTask("      env = {\n        A = \"1\" # one\n        B = \"2\" # two\n      }\n"),
		after:  inTask("      env = {\n        A = \"1\" # one\n      }\n"),
		edits:  []job.Edit{remove(".env.B")},
	},
	{
		name:   "runtime interpolation as a value",
		before: inTask("      env {\n        A = \"1\"\n      }\n"),
		after:  inTask("      env {\n        A = \"${node.unique.name}\"\n      }\n"),
		edits:  []job.Edit{text(".env.A", "${node.unique.name}")},
	},
	{
		name:   "a text with a runtime interpolation",
		before: inTask("      env {\n        A = \"http://${NOMAD_ADDR_x}/a\"\n        B = node.class\n        C = \"${meta.x}\"\n      }\n"),
		after:  inTask("      env {\n        A = \"https://y\"\n        B = \"b\"\n        C = \"${meta.z}\"\n      }\n"),
		edits:  []job.Edit{text(".env.A", "https://y"), text(".env.B", "b"), replace(".env.C", "x}", "z}")},
	},
	{
		name:   "a part that reaches into a runtime interpolation",
		before: inTask("      env {\n        A = \"a ${NOMAD_ADDR_x}/${meta.x} b\"\n      }\n"),
		after:  inTask("      env {\n        A = \"a ${NOMAD_ADDR_y}/- b\"\n      }\n"),
		edits:  []job.Edit{replace(".env.A", "x}/${meta.x}", "y}/-")},
	},
	{
		name:   "a value that would be a reference",
		before: "variable \"x\" { default = 1 }\n" + inTask("      env {\n        A = \"1\"\n      }\n"),
		after:  "variable \"x\" { default = 1 }\n" + inTask("      env {\n        A = \"$${var.x}\"\n      }\n"),
		edits:  []job.Edit{text(".env.A", "${var.x}")},
	},
}

var shapeCases = []editCase{
	{
		name:   "attribute added",
		before: "job \"app\" {\n  type = \"batch\"\n\n  group \"g\" {}\n}\n",
		after:  "job \"app\" {\n  type = \"batch\"\n  priority = 70\n\n  group \"g\" {}\n}\n",
		edits:  []job.Edit{set("priority", cty.NumberIntVal(70))},
	},
	{
		name:   "attribute added where there is none",
		before: "job \"app\" {\n  group \"g\" {}\n}\n",
		after:  "job \"app\" {\n  priority = 70\n\n  group \"g\" {}\n}\n",
		edits:  []job.Edit{set("priority", cty.NumberIntVal(70))},
	},
	{
		name:   "attribute added where a blank line follows",
		before: "job \"app\" {\n\n  group \"g\" {}\n}\n",
		after:  "job \"app\" {\n  priority = 70\n\n  group \"g\" {}\n}\n",
		edits:  []job.Edit{set("priority", cty.NumberIntVal(70))},
	},
	{
		name:   "attribute added behind lines that are aligned in part",
		before: "job \"app\" {\n  region = \"r\"\n  datacenters = [\"a\"]\n  type        = \"batch\"\n}\n",
		after:  "job \"app\" {\n  region = \"r\"\n  datacenters = [\"a\"]\n  type        = \"batch\"\n  priority    = 70\n}\n",
		edits:  []job.Edit{set("priority", cty.NumberIntVal(70))},
	},
	{
		name:   "attribute added behind lines that are not aligned",
		before: "job \"app\" {\n  region = \"r\"\n  datacenters = [\"a\"]\n}\n",
		after:  "job \"app\" {\n  region = \"r\"\n  datacenters = [\"a\"]\n  priority = 70\n}\n",
		edits:  []job.Edit{set("priority", cty.NumberIntVal(70))},
	},
	{
		name:   "attribute added before a block that is indented in its own way",
		before: "job \"app\" {\n  group \"g\" {\n      # one\n      network {}\n  }\n}\n",
		after:  "job \"app\" {\n  group \"g\" {\n      count = 2\n\n      # one\n      network {}\n  }\n}\n",
		edits:  []job.Edit{set(`group["g"].count`, cty.NumberIntVal(2))},
	},
	{
		name:   "block added, indented as its neighbour is",
		before: "job \"app\" {\n  type = \"batch\"\n\n\tgroup \"g\" {\n\t}\n}\n",
		after:  "job \"app\" {\n  type = \"batch\"\n\n\tgroup \"g\" {\n\t}\n\n\tmeta {\n\t\ta = \"b\"\n\t}\n}\n",
		edits:  []job.Edit{text("meta.a", "b")},
	},
	{
		name:   "block added with spaces in a file of tabs",
		before: "job \"app\" {\n\tgroup \"g\" {\n\t\ttask \"t\" {\n      driver = \"docker\"\n\t\t}\n\t}\n}\n",
		after:  "job \"app\" {\n\tgroup \"g\" {\n\t\ttask \"t\" {\n      driver = \"docker\"\n\n      env {\n        A = \"1\"\n      }\n\t\t}\n\t}\n}\n",
		edits:  []job.Edit{text(".env.A", "1")},
	},
	{
		name:   "block added",
		before: inTask("      driver = \"docker\"\n"),
		after:  inTask("      driver = \"docker\"\n\n      resources {\n        memory = 256\n      }\n"),
		edits:  []job.Edit{set(".resources.memory", cty.NumberIntVal(256))},
	},
	{
		name:   "number, bool and duration",
		before: inTask("      leader = true\n      kill_timeout = \"5s\"\n      resources { cpu = 100 }\n"),
		after:  inTask("      leader = false\n      kill_timeout = \"30s\"\n      resources { cpu = 200 }\n"),
		edits:  []job.Edit{set(".leader", cty.False), text(".kill_timeout", "30s"), set(".resources.cpu", cty.NumberIntVal(200))},
	},
	{
		name:   "block removed",
		before: inTask("      driver = \"docker\"\n      # mem\n      resources {\n        memory = 256\n      } # r\n      leader = true\n"),
		after:  inTask("      driver = \"docker\"\n      # mem\n      leader = true\n"),
		edits:  []job.Edit{remove(".resources")},
	},
	{
		name:   "block removed between blank lines",
		before: inTask("      driver = \"docker\"\n\n      resources {\n      }\n\n      env {\n      }\n"),
		after:  inTask("      driver = \"docker\"\n\n      env {\n      }\n"),
		edits:  []job.Edit{remove(".resources")},
	},
	{
		name:   "first block removed",
		before: inTask("      resources {\n      }\n\n      env {\n      }\n"),
		after:  inTask("      env {\n      }\n"),
		edits:  []job.Edit{remove(".resources")},
	},
	{
		name:   "last block removed",
		before: inTask("      driver = \"docker\"\n\n      resources {\n      } # r\n"),
		after:  inTask("      driver = \"docker\"\n"),
		edits:  []job.Edit{remove(".resources")},
	},
	{
		name:   "block removed beside a comment",
		before: inTask("      driver = \"docker\"\n      # c\n      resources {\n      }\n\n      env {\n      }\n"),
		after:  inTask("      driver = \"docker\"\n      # c\n\n      env {\n      }\n"),
		edits:  []job.Edit{remove(".resources")},
	},
	{
		name:   "attribute removed between blank lines",
		before: inTask("      driver = \"docker\"\n\n      user = \"u\"\n\n      env {\n      }\n"),
		after:  inTask("      driver = \"docker\"\n\n      env {\n      }\n"),
		edits:  []job.Edit{remove(".user")},
	},
	{
		name:   "heredoc",
		before: inTask("      template {\n        data = <<EOF\n#!/bin/sh\nsudo -E run ${NOMAD_JOB_NAME}\n  \"q\"\nEOF\n        destination = \"local/x\"\n      }\n"),
		after:  inTask("      template {\n        data = <<EOF\n#!/bin/sh\nsudo run ${NOMAD_JOB_NAME}\n  \"q\"\nEOF\n        destination = \"local/x\"\n      }\n"),
		edits:  []job.Edit{replace(".template[0].data", "sudo -E run", "sudo run")},
	},
	{
		name:   "indented heredoc",
		before: inTask("      template {\n        data = <<-EOF\n          #!/bin/sh\n            sudo -E run\n        \tx\n        EOF\n      }\n"),
		after:  inTask("      template {\n        data = <<-EOF\n          #!/bin/sh\n            sudo run\n        \tx\n        EOF\n      }\n"),
		edits:  []job.Edit{replace(".template[0].data", " -E", "")},
	},
	{
		name:   "indented heredoc, text over two lines",
		before: inTask("      template {\n        data = <<-EOF\n          a -E\n          b\n        EOF\n      }\n"),
		after:  inTask("      template {\n        data = <<-EOF\n          a\n          b\n        EOF\n      }\n"),
		edits:  []job.Edit{replace(".template[0].data", " -E\nb", "\nb")},
	},
	{
		name:   "heredoc set",
		before: inTask("      template {\n        data = <<EOF\none\ntwo\nEOF\n      }\n"),
		after:  inTask("      template {\n        data = <<EOF\none\n2\nEOF\n      }\n"),
		edits:  []job.Edit{text(".template[0].data", "one\n2\n")},
	},
	{
		name:   "line added to a heredoc",
		before: inTask("      template {\n        data = <<EOF\nline 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nEOF\n      }\n"),
		after:  inTask("      template {\n        data = <<EOF\nline 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nlast ${x}\nEOF\n      }\n"),
		edits:  []job.Edit{text(".template[0].data", "line 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nlast ${x}\n")},
	},
	{
		name:   "line added to an indented heredoc",
		before: inTask("      template {\n        data = <<-EOF\n          line 0 of it\n          line 1 of it\n          line 2 of it\n          line 3 of it\n          line 4 of it\n          line 5 of it\n          line 6 of it\n          line 7 of it\n          line 8 of it\n          EOF\n      }\n"),
		after:  inTask("      template {\n        data = <<-EOF\n          line 0 of it\n          line 1 of it\n          line 2 of it\n          line 3 of it\n          line 4 of it\n          line 5 of it\n          line 6 of it\n          line 7 of it\n          line 8 of it\n          last\n          EOF\n      }\n"),
		edits:  []job.Edit{text(".template[0].data", "line 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nlast\n")},
	},
	{
		name:   "line added to an indented heredoc whose end stands elsewhere",
		before: inTask("      template {\n        data = <<-EOF\n          line 0 of it\n          line 1 of it\n          line 2 of it\n          line 3 of it\n          line 4 of it\n          line 5 of it\n          line 6 of it\n          line 7 of it\n          line 8 of it\n        EOF\n      }\n"),
		after:  inTask("      template {\n        data = <<-EOF\n          line 0 of it\n          line 1 of it\n          line 2 of it\n          line 3 of it\n          line 4 of it\n          line 5 of it\n          line 6 of it\n          line 7 of it\n          line 8 of it\n          last\n        EOF\n      }\n"),
		edits:  []job.Edit{text(".template[0].data", "line 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nlast\n")},
	},
	{
		name:   "line added behind a deep line of an indented heredoc",
		before: inTask("      template {\n        data = <<-EOF\n          a:\n            b\n\n            c\n        EOF\n      }\n"),
		after:  inTask("      template {\n        data = <<-EOF\n          a:\n            b\n\n            c\n          d:\n            e\n        EOF\n      }\n"),
		edits:  []job.Edit{text(".template[0].data", "a:\n  b\n\n  c\nd:\n  e\n")},
	},
	{
		name:   "line added before the last of an indented heredoc",
		before: inTask("      template {\n        data = <<-EOF\n          line 0 of it\n          line 1 of it\n          line 2 of it\n          line 3 of it\n          line 4 of it\n          line 5 of it\n          line 6 of it\n          line 7 of it\n          line 8 of it\n          the end\n        EOF\n      }\n"),
		after:  inTask("      template {\n        data = <<-EOF\n          line 0 of it\n          line 1 of it\n          line 2 of it\n          line 3 of it\n          line 4 of it\n          line 5 of it\n          line 6 of it\n          line 7 of it\n          line 8 of it\n          new\n          the end\n        EOF\n      }\n"),
		edits:  []job.Edit{text(".template[0].data", "line 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nnew\nthe end\n")},
	},
	{
		name:   "line removed from a heredoc that has it twice",
		before: inTask("      template {\n        data = <<EOF\nzz\nline 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nzz\nx\nEOF\n      }\n"),
		after:  inTask("      template {\n        data = <<EOF\nzz\nline 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nx\nEOF\n      }\n"),
		edits:  []job.Edit{text(".template[0].data", "zz\nline 0 of it\nline 1 of it\nline 2 of it\nline 3 of it\nline 4 of it\nline 5 of it\nline 6 of it\nline 7 of it\nline 8 of it\nx\n")},
	},
	{
		name:   "heredoc attribute removed",
		before: inTask("      template {\n        data = <<EOF\none\nEOF\n        destination = \"x\"\n      }\n"),
		after:  inTask("      template {\n        destination = \"x\"\n      }\n"),
		edits:  []job.Edit{remove(".template[0].data")},
	},
	{
		name:   "CRLF",
		before: strings.ReplaceAll(inTask("      driver = \"x\"\n      config {\n        args = [\n          \"-E\", # c\n          \"y\",\n        ]\n      }\n"), "\n", "\r\n"),
		after:  strings.ReplaceAll(inTask("      driver = \"x\"\n\n      env {\n        A = \"1\"\n      }\n\n      config {\n        args = [\n          \"y\",\n        ]\n      }\n"), "\n", "\r\n"),
		edits:  []job.Edit{text(".env.A", "1"), remove(".config.args[0]")},
	},
	{
		name:   "BOM and no final newline",
		before: "\uFEFF" + strings.TrimSuffix(args(`["-E", "x"]`), "\n"),
		after:  "\uFEFF" + strings.TrimSuffix(args(`["x"]`), "\n"),
		edits:  []job.Edit{remove(".config.args[0]")},
	},
	{
		name:   "tabs",
		before: "job \"app\" {\n\tgroup \"g\" {\n\t\ttask \"t\" {\n\t\t\tdriver = \"raw_exec\"\n\t\t}\n\t}\n}\n",
		after:  "job \"app\" {\n\tgroup \"g\" {\n\t\ttask \"t\" {\n\t\t\tdriver = \"raw_exec\"\n\n\t\t\tenv {\n\t\t\t\tA = \"1\"\n\t\t\t}\n\t\t}\n\t}\n}\n",
		edits:  []job.Edit{text(".env.A", "1")},
	},
	{
		name:   "task without a group",
		before: "job \"app\" {\n  task \"t\" {\n    driver = \"raw_exec\"\n    config {\n      args = [\"-E\"]\n    }\n  }\n}\n",
		after:  "job \"app\" {\n  task \"t\" {\n    driver = \"raw_exec\"\n    config {\n      args = []\n    }\n  }\n}\n",
		edits:  []job.Edit{remove(`group["t"].task["t"].config.args[0]`)},
	},
	{
		name:   "constraint shortcut",
		before: "job \"app\" {\n  constraint {\n    attribute = \"${attr.nomad.version}\"\n    version   = \">= 1.0\"\n  }\n  group \"g\" {}\n}\n",
		after:  "job \"app\" {\n  constraint {\n    attribute = \"${attr.nomad.version}\"\n    version   = \">= 2.0\"\n  }\n  group \"g\" {}\n}\n",
		edits:  []job.Edit{text("constraint[0].value", ">= 2.0")},
	},
	{
		name:   "identity behind the default one",
		before: inTask("      identity {\n        env = true\n      }\n      identity {\n        name = \"aws\"\n        ttl  = \"1h\"\n      }\n"),
		after:  inTask("      identity {\n        env = true\n      }\n      identity {\n        name = \"aws\"\n        ttl  = \"2h\"\n      }\n"),
		edits:  []job.Edit{text(".identity[0].ttl", "2h")},
	},
	{
		name:   "nested config block and map",
		before: inTask("      config {\n        mount {\n          type = \"bind\"\n          opts = { ro = true }\n        }\n        labels = { a = \"1\" }\n      }\n"),
		after:  inTask("      config {\n        mount {\n          type = \"volume\"\n          opts = { ro = false }\n        }\n        labels = { a = \"2\" }\n      }\n"),
		edits:  []job.Edit{text(".config.mount[0].type", "volume"), set(".config.mount[0].opts[0].ro", cty.False), text(".config.labels[0].a", "2")},
	},
	{
		name:   "second config block of a kind",
		before: inTask("      config {\n        mount {\n          type = \"bind\"\n        }\n        mount {\n          type = \"bind\"\n        }\n      }\n"),
		after:  inTask("      config {\n        mount {\n          type = \"bind\"\n        }\n        mount {\n          type = \"volume\"\n        }\n      }\n"),
		edits:  []job.Edit{text(".config.mount[1].type", "volume")},
	},
}

func allCases() []editCase {
	var all []editCase
	for _, c := range [][]editCase{listCases, feedCases, mapCases, shapeCases} {
		all = append(all, c...)
	}
	return all
}

func TestEdit(t *testing.T) {
	t.Parallel()
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, c.before, jobspec.Inputs{})
			desired, err := job.Apply(f.Job, c.edits)
			if err != nil {
				t.Fatal(err)
			}
			got, diags := f.Edit(c.edits, desired)
			if diags.HasErrors() {
				t.Fatalf("%v\n%v", diags, diags[0].Subject)
			}
			if diff := cmp.Diff(c.after, string(got)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if string(f.Bytes) != c.before {
				t.Error("Edit changed the file that it was asked on")
			}
		})
	}
}

func TestEditRefuses(t *testing.T) {
	t.Parallel()
	local := "locals {\n  a = [\"-E\", \"x\"]\n}\n"
	for _, c := range []struct {
		name, src, wantSummary, wantDetail string
		shown                              string // the source text that the diagnostic points at
		in                                 jobspec.Inputs
		edit                               job.Edit
	}{
		{
			name: "a local that another task uses", src: local + twoTasks,
			edit:        remove(`group["g"].task["one"].config.args[0]`),
			wantSummary: "Expression in the way", shown: "local.a",
		},
		{
			name: "a value from the command line", src: withTop("variable \"a\" {\n  type    = list(string)\n  default = [\"-E\"]\n}\n", args("var.a")),
			in: jobspec.Inputs{Vars: map[string]string{"a": `["-E", "y"]`}}, edit: remove(".config.args[0]"),
			wantSummary: "Expression in the way", wantDetail: "The value of var.a comes from var: change it there.", shown: "var.a",
		},
		{
			name: "a value from a variable file, through a local", src: withTop("variable \"a\" {\n  type = list(string)\n}\nlocals {\n  b = var.a\n}\n", args("local.b")),
			in:   jobspec.Inputs{VarFiles: []jobspec.VarFile{{Name: "prod.vars.hcl", Bytes: []byte("a = [\"-E\"]\n")}}},
			edit: remove(".config.args[0]"), wantSummary: "Expression in the way",
			wantDetail: "The value of var.a comes from var_file prod.vars.hcl:1: change it there.", shown: "local.b",
		},
		{
			name: "a value that is computed", src: args(`split(" ", "-E x")`), edit: remove(".config.args[0]"),
			wantSummary: "Expression in the way", shown: `split(" ", "-E x")`,
		},
		{
			name: "a place that is not there", src: args(`["x"]`), edit: remove(".config.args[7]"),
			wantSummary: "Cannot make the edit", shown: `args    = ["x"]`,
		},
		{
			name: "a key that no block can hold", src: inTask("      env {\n        A = \"1\"\n      }\n"), edit: text(`.env["a.b"]`, "x"),
			wantSummary: "Cannot make the edit", shown: "env",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, c.src, c.in)
			desired, err := job.Apply(f.Job, []job.Edit{c.edit})
			if err != nil {
				desired = f.Job
			}
			out, diags := f.Edit([]job.Edit{c.edit}, desired)
			if !diags.HasErrors() || out != nil {
				t.Fatalf("accepted:\n%s", out)
			}
			if diags[0].Summary != c.wantSummary || !strings.Contains(diags[0].Detail, c.wantDetail) {
				t.Errorf("got %q: %q", diags[0].Summary, diags[0].Detail)
			}
			if got := string(diags[0].Subject.SliceBytes(f.Bytes)); got != c.shown {
				t.Errorf("points at %q, want %q", got, c.shown)
			}
		})
	}
}

// TestEditHeldToDesired: edits that do not lead to the desired job give no bytes.
func TestEditHeldToDesired(t *testing.T) {
	t.Parallel()
	f := parse(t, args(`["-E", "x"]`), jobspec.Inputs{})
	if out, diags := f.Edit([]job.Edit{remove(".config.args[0]")}, f.Job); out != nil || !diags.HasErrors() {
		t.Errorf("accepted %s", out)
	}
	if out, diags := f.Edit(nil, f.Job); diags.HasErrors() || string(out) != string(f.Bytes) {
		t.Errorf("no edits: %v, %s", diags, out)
	}
}

// TestEditVolatile: a file whose job is another one at each parse can be edited.
func TestEditVolatile(t *testing.T) {
	t.Parallel()
	before := "locals {\n  run = uuidv4()\n}\n" + inTask("      env {\n        RUN = local.run\n        KEY = bcrypt(\"x\", 4)\n        A   = \"1\"\n      }\n")
	f := parse(t, before, jobspec.Inputs{})
	if !f.Volatile || len(f.Job.TaskGroups[0].Tasks[0].Env["RUN"]) != 36 {
		t.Fatalf("volatile: %t, %v", f.Volatile, f.Job.TaskGroups[0].Tasks[0].Env)
	}
	edits := []job.Edit{text(".env.A", "2")}
	desired, err := job.Apply(f.Job, edits)
	if err != nil {
		t.Fatal(err)
	}
	out, diags := f.Edit(edits, desired)
	if want := strings.Replace(before, `"1"`, `"2"`, 1); diags.HasErrors() || string(out) != want {
		t.Errorf("%v\n%s", diags, out)
	}
	if out, diags := f.Edit(edits, f.Job); out != nil || !diags.HasErrors() {
		t.Error("edits that do not lead to the desired job are accepted")
	}
}

func TestRangeOfInherited(t *testing.T) {
	t.Parallel()
	f := parse(t, string(read(t, "testdata/parse/groupless.nomad.hcl")), jobspec.Inputs{})
	for path, want := range map[string]string{
		`group["alone"].task["alone"].vault.role`:           `"job-role"`,
		`group["alone"].task["alone"].env.A`:                `1`,
		`group["alone"].count`:                              `job "groupless"`,
		`group["g"].task["bare"].vault.role`:                `"group-role"`,
		`group["g"].task["own"].vault.role`:                 `"own-role"`,
		`group["g"].task["bare"].secret["job-secret"].path`: `"a"`,
	} {
		if got := string(f.Range(mustPath(path)).SliceBytes(f.Bytes)); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestRangeOf(t *testing.T) {
	t.Parallel()
	src := inTask("      config {\n        args = [\"-c\", \"grün && sudo -E x\"]\n      }\n      template {\n        data = <<-EOF\n          #!/bin/sh\n          sudo -E run\n        EOF\n      }\n")
	f := parse(t, src, jobspec.Inputs{})
	for _, c := range []struct {
		edit     job.Edit
		text, at string
	}{
		{replace(".template[0].data", "-E ", ""), "-E ", "10,16"},
		{replace(".config.args[1]", "sudo -E", "sudo"), "sudo -E", "5,32"},
		{replaceAt(".config.args[1]", "s", 9, ""), "s", "5,32"},
		{replaceAt(".template[0].data", "n", 19, ""), "n", "10,21"},
		{replace(".config.args[1]", "none", ""), `"grün && sudo -E x"`, "5,23"},
		{replace(".config.none", "none", ""), "config", "4,7"},
		{remove(".config.args[0]"), `"-c"`, "5,17"},
	} {
		r := f.RangeOf(c.edit)
		if got := string(r.SliceBytes(f.Bytes)); got != c.text || position(r) != c.at {
			t.Errorf("%s: %q at %s, want %q at %s", c.edit, got, position(r), c.text, c.at)
		}
	}
}

func TestRange(t *testing.T) {
	t.Parallel()
	src := `variable "mem" { default = 8192 }
locals {
  rest = ["x", "y"]
}
job "app" {
  group "g" {
    task "t" {
      driver = "raw_exec"
      config {
        args = concat(["-E"], local.rest)
      }
      resources {
        memory = var.mem
      }
      env = { A = "1" }
      vault {}
    }
    task "u" {
      env {
        B = upper("b")
      }
    }
  }
  meta { k = "v" }
}
`
	f := parse(t, src, jobspec.Inputs{})
	for _, c := range []struct{ path, text, at string }{
		{".config.args[0]", `"-E"`, "10,24"},
		{".config.args[2]", `"y"`, "3,16"},
		{".resources.memory", "8192", "1,28"},
		{".env.A", `"1"`, "15,19"},
		{".env.NONE", `env = { A = "1" }`, "15,7"},
		{".env", `{ A = "1" }`, "15,13"},
		{".driver", `"raw_exec"`, "8,16"},
		{".user", `task "t"`, "7,5"},
		{".vault.role", `vault`, "16,7"},
		{`group["g"].task["u"].env.B`, `"b"`, "20,19"},
		{`group["g"].task["u"].env.C`, `env`, "19,7"},
		{`group["g"].task["u"]`, `task "u"`, "18,5"},
		{"meta.k", `"v"`, "24,14"},
		{"priority", `job "app"`, "5,1"},
		{`group["none"].count`, `job "app"`, "5,1"},
	} {
		r := f.Range(mustPath(c.path))
		if got := string(r.SliceBytes(f.Bytes)); got != c.text {
			t.Errorf("%s: %q, want %q", c.path, got, c.text)
		}
		if got := position(r); got != c.at {
			t.Errorf("%s: at %s, want %s", c.path, got, c.at)
		}
	}
}

func position(r hcl.Range) string {
	_, rest, _ := strings.Cut(r.String(), ":")
	at, _, _ := strings.Cut(rest, "-")
	return at
}

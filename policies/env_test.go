package policies_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"
)

func envTemplate(data string) *api.Template {
	return &api.Template{EmbeddedTmpl: &data, Envvars: new(true)}
}

// TestEnv: each case is one sentence of the reference. The job is "web", the task
// "app", and the policy denies and fixes.
func TestEnv(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		body      string
		env       map[string]string
		templates []*api.Template
		want      []string
	}{
		{
			name: "all is well",
			body: `block = "required"
				required = ["A"]
				defaults = { B = 1 }
				values = { C = job.id }
				forbidden = ["AWS_*"]
				matching = { A = "^x" }`,
			env: map[string]string{"A": "x1", "B": "other", "C": "web"},
		},
		{
			name: "a required key is missing",
			body: `required = ["NODE_ID"]`,
			env:  map[string]string{"A": "1"},
			want: []string{`env.required (deny) task["app"].env.NODE_ID: NODE_ID is not set; it is required, and only a person can know its value`},
		},
		{
			name: "empty counts as absent",
			body: `required = ["A"]
				defaults = { B = "b" }`,
			env: map[string]string{"A": "", "B": ""},
			want: []string{
				`env.required (deny) task["app"].env.A: A is not set; it is required, and only a person can know its value`,
				`env.defaults (deny, fixable) task["app"].env.B: B is not set; its default is "b"`,
				`  set task["app"].env.B = "b"`,
			},
		},
		{
			name: "an empty forbidden key is absent",
			body: `forbidden = ["A"]`,
			env:  map[string]string{"A": "", "B": "b"},
		},
		{
			name: "a default and a value that are empty ask for nothing",
			body: `defaults = { A = "" }
				values = { B = "" }`,
			env: map[string]string{"C": "1"},
		},
		{
			name: "a default never changes what is set",
			body: `defaults = { A = "1" }`,
			env:  map[string]string{"A": "2"},
		},
		{
			name: "values are set where missing or different",
			body: `values = { A = "a", B = "b", C = task.driver, D = group.name, E = live == null ? "new" : "old" }`,
			env:  map[string]string{"A": "a", "B": "x"},
			want: []string{
				`env.values (deny, fixable) task["app"].env.C: C is not set; it must be "exec"`,
				`  set task["app"].env.C = "exec"`,
				`env.values (deny, fixable) task["app"].env.D: D is not set; it must be "g"`,
				`  set task["app"].env.D = "g"`,
				`env.values (deny, fixable) task["app"].env.E: E is not set; it must be "new"`,
				`  set task["app"].env.E = "new"`,
				`env.values (deny, fixable) task["app"].env.B: B is "x"; it must be "b"`,
				`  set task["app"].env.B = "b"`,
			},
		},
		{
			name: "expressions see Nomad's defaults",
			body: `values = { PRIORITY = job.priority, TYPE = job.type, KILL = task.kill_timeout }`,
			env:  map[string]string{"PRIORITY": "50", "TYPE": "service", "KILL": "5s"},
		},
		{
			name: "values that a function makes",
			body: `values = merge({ B = "b" }, { A = 1 })`,
			env:  map[string]string{"A": "1"},
			want: []string{
				`env.values (deny, fixable) task["app"].env.B: B is not set; it must be "b"`,
				`  set task["app"].env.B = "b"`,
			},
		},
		{
			name: "runtime interpolations are plain text for values",
			body: `values = { NODE = "$${node.unique.name}" }`,
			env:  map[string]string{"NODE": "${node.unique.name}"},
		},
		{
			name: "forbidden keys are removed",
			body: `forbidden = ["AWS_SECRET_*", "TOKEN"]`,
			env:  map[string]string{"TOKEN": "t", "AWS_SECRET_KEY": "s", "AWS_REGION": "eu"},
			want: []string{
				`env.forbidden (deny, fixable) task["app"].env.AWS_SECRET_KEY: AWS_SECRET_KEY is set; AWS_SECRET_* is forbidden`,
				`  remove task["app"].env.AWS_SECRET_KEY "s"`,
				`env.forbidden (deny, fixable) task["app"].env.TOKEN: TOKEN is set; TOKEN is forbidden`,
				`  remove task["app"].env.TOKEN "t"`,
			},
		},
		{
			name: "matching",
			body: `matching = { A = "^node-[0-9]+$", B = "^b", C = "c" }`,
			env:  map[string]string{"A": "node-x", "B": "b1"},
			want: []string{`env.matching (deny) task["app"].env.A: A is "node-x", which does not match ^node-[0-9]+$`},
		},
		{
			name: "matching skips runtime interpolations",
			body: `matching = { A = "^node-" }`,
			env:  map[string]string{"A": "${node.unique.name}"},
			want: []string{`env.matching (warn) task["app"].env.A: cannot tell whether A matches ^node-: its value is made at run time`},
		},
		{
			name: "secrets are not shown",
			body: `values = { DB_PASSWORD = "hunter2", DSN = "pg://u:hunter2@db/x" }
				matching = { API_TOKEN = "^x" }`,
			env: map[string]string{"DB_PASSWORD": "hunter1", "DSN": "pg://u:hunter1@db/x", "API_TOKEN": "hunter0"},
			want: []string{
				`env.values (deny, fixable) task["app"].env.DB_PASSWORD: DB_PASSWORD is (redacted); it must be (redacted)`,
				`  set task["app"].env.DB_PASSWORD = "hunter2"`,
				`env.values (deny, fixable) task["app"].env.DSN: DSN is "pg://u:(redacted)@db/x"; it must be "pg://u:(redacted)@db/x"`,
				`  set task["app"].env.DSN = "pg://u:hunter2@db/x"`,
				`env.matching (deny) task["app"].env.API_TOKEN: API_TOKEN is (redacted), which does not match ^x`,
			},
		},
		{
			name: "a missing block alone",
			body: `block = "required"`,
			want: []string{`env.block (deny) task["app"]: task "app" has no env block`},
		},
		{
			name: "an empty block is a missing block",
			body: `block = "required"`,
			env:  map[string]string{},
			want: []string{`env.block (deny) task["app"]: task "app" has no env block`},
		},
		{
			name: "a missing block is one finding, and values and defaults make it",
			body: `block = "required"
				defaults = { LOG_LEVEL = "info" }
				values = { SERVICE = job.id }`,
			want: []string{
				`env.block (deny, fixable) task["app"]: task "app" has no env block; missing: LOG_LEVEL, SERVICE`,
				`  set task["app"].env.LOG_LEVEL = "info"`,
				`  set task["app"].env.SERVICE = "web"`,
			},
		},
		{
			name: "a missing block that is only implied",
			body: `required = ["A", "B"]`,
			want: []string{`env.block (deny) task["app"]: task "app" has no env block; missing: A, B`},
		},
		{
			name: "a missing block that nothing asks for",
			body: `forbidden = ["A"]
				matching = { B = "b" }`,
		},
		{
			name: "what nobody can invent stays denied when the block is made",
			body: `required = ["NODE_ID"]
				defaults = { LOG_LEVEL = "info" }`,
			want: []string{
				`env.block (deny, fixable) task["app"]: task "app" has no env block; missing: NODE_ID, LOG_LEVEL`,
				`  set task["app"].env.LOG_LEVEL = "info"`,
				`env.required (deny) task["app"].env.NODE_ID: NODE_ID is not set; it is required, and only a person can know its value (also after the other fixes)`,
			},
		},
		{
			name: "static keys of a template are present",
			body: `required = ["A", "B"]
				defaults = { C = "c" }`,
			env: map[string]string{"X": "1"},
			templates: []*api.Template{
				envTemplate("# a comment\nexport A = 1\n\n  B={{ key \"b\" }}\nC=\"c c\"\n"),
			},
		},
		{
			name:      "a template without env = true makes no variables",
			body:      `required = ["A"]`,
			env:       map[string]string{"X": "1"},
			templates: []*api.Template{{EmbeddedTmpl: new("A=1"), Envvars: new(false)}, {EmbeddedTmpl: new("A=1")}},
			want:      []string{`env.required (deny) task["app"].env.A: A is not set; it is required, and only a person can know its value`},
		},
		{
			name:      "a key that a template sets to nothing is absent, and the block cannot help",
			body:      `defaults = { A = "1" }`,
			env:       map[string]string{"X": "1"},
			templates: []*api.Template{envTemplate("A=\n")},
			want:      []string{`env.defaults (deny) task["app"].env.A: A is not set; its default is "1" (its fix does not mend it)`},
		},
		{
			name:      "a value that a template overrides",
			body:      `values = { A = "a", B = "b", C = "c" }`,
			env:       map[string]string{"A": "a", "X": "1"},
			templates: []*api.Template{envTemplate("A=other\nB={{ key \"b\" }}\nC='c'\n")},
			want: []string{
				`env.values (deny) task["app"].template[0].data: A must be "a"; it is overridden by this template, which wins at run time`,
				`env.values (deny) task["app"].template[0].data: B must be "b"; it is overridden by this template, which wins at run time`,
			},
		},
		{
			name:      "a forbidden key in a template",
			body:      `forbidden = ["AWS_*"]`,
			templates: []*api.Template{envTemplate("X=1"), envTemplate("AWS_KEY={{ key \"k\" }}")},
			want:      []string{`env.forbidden (deny) task["app"].template[1].data: AWS_KEY is set by this template; AWS_* is forbidden`},
		},
		{
			name:      "a forbidden key that a template may set",
			body:      `forbidden = ["AWS_*"]`,
			templates: []*api.Template{envTemplate("{{ if true }}\nX=1\nAWS_KEY=1\n{{ end }}\nAWS_EMPTY=\n")},
			want:      []string{`env.forbidden (warn) task["app"].template[0].data: cannot tell whether AWS_KEY stays unset: this template makes keys at run time`},
		},
		{
			name:      "matching looks at the template's value, which wins",
			body:      `matching = { A = "^a", B = "^b", C = "^c" }`,
			env:       map[string]string{"A": "a", "B": "x"},
			templates: []*api.Template{envTemplate("A=x\nB=b\nC={{ key \"c\" }}")},
			want: []string{
				`env.matching (deny) task["app"].template[0].data: A is "x", which does not match ^a`,
				`env.matching (warn) task["app"].template[0].data: cannot tell whether C matches ^c: its value is made at run time`,
			},
		},
		{
			name: "keys that a template makes at run time",
			body: `required = ["A", "B"]
				defaults = { C = "c" }
				values = { D = "d" }
				forbidden = ["E*"]
				matching = { F = "f" }`,
			env:       map[string]string{"D": "d", "B": "b"},
			templates: []*api.Template{envTemplate("{{ range ls \"app\" }}\n{{ .Key }}={{ .Value }}\n{{ end }}")},
			want: []string{
				`env.required (warn) task["app"].template[0].data: cannot tell whether A is set: this template makes keys at run time`,
				`env.defaults (warn) task["app"].template[0].data: cannot tell whether C is set: this template makes keys at run time`,
				`env.values (warn) task["app"].template[0].data: cannot tell whether D keeps its value: this template makes keys at run time`,
				`env.forbidden (warn) task["app"].template[0].data: cannot tell whether E* stays unset: this template makes keys at run time`,
				`env.matching (warn) task["app"].template[0].data: cannot tell whether F matches: this template makes keys at run time`,
			},
		},
		{
			name:      "keys under a condition",
			body:      `required = ["A", "B", "C"]`,
			env:       map[string]string{"X": "1"},
			templates: []*api.Template{envTemplate("{{ if true }}A=1{{ end }}\n{{- with $x := 1 }}\nB={{ $x }}\n{{- end }}\nC=1\n")},
			want:      []string{`env.required (warn) task["app"].template[0].data: cannot tell whether A, B is set: this template makes keys at run time`},
		},
		{
			name:      "actions that write nothing",
			body:      `required = ["A", "B"]`,
			env:       map[string]string{"X": "1"},
			templates: []*api.Template{envTemplate("{{ $x := 1 }}A={{ $x }}\n{{/* not\nA=2 */}}{{- $y = 2 -}}\n B=1")},
		},
		{
			name: "a template whose text is a file",
			body: `required = ["A"]`,
			env:  map[string]string{"X": "1"},
			templates: []*api.Template{
				{SourcePath: new("local/env.tpl"), Envvars: new(true)},
			},
			want: []string{`env.required (warn) task["app"].template[0]: cannot tell whether A is set: this template makes keys at run time`},
		},
		{
			name: "other delimiters",
			body: `required = ["A"]`,
			env:  map[string]string{"X": "1"},
			templates: []*api.Template{{
				EmbeddedTmpl: new("[[ if true ]]\nA=1\n[[ end ]]"), Envvars: new(true), LeftDelim: new("[["), RightDelim: new("]]"),
			}},
			want: []string{`env.required (warn) task["app"].template[0].data: cannot tell whether A is set: this template makes keys at run time`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := load(t, "policy \"p\" {\nfix = true\nenv {\n"+c.body+"\n}\n}\n")
			v := check(t, s, newJob("web", &api.Task{Name: "app", Driver: "exec", Env: c.env, Templates: c.templates}))
			if diff := cmp.Diff(c.want, lines(v.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if v.Conflict != "" {
				t.Errorf("conflict: %s", v.Conflict)
			}
		})
	}
}

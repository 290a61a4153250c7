package jobspec_test

import (
	"strings"
	"testing"

	"nomad-reconcile/state/jobspec"
)

// Each of these holds no job: Parse says so in one diagnostic, at the place of what
// tells it apart.
func TestRecognize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, src, kind, at string }{
		{"nothing", "a.hcl", "", "empty file", "1,1"},
		{"BOM alone", "a.hcl", "\uFEFF \r\n", "empty file", "1,1"},
		{"comments", "a.hcl", "# later\n/* and\n */\n// more", "empty file", "1,1"},
		{"script", "a.hcl", "#!/bin/sh\necho \"$x\"\n", "script", "1,1"},
		{"binary", "a.job", "\x7fELF\x00\x01", "binary file", "1,1"},
		{"latin-1", "a.hcl", "a = \"\xe4\"\n", "binary file", "1,1"},
		{"UTF-16", "a.hcl", "\xff\xfej\x00o\x00b\x00", "UTF-16 file", "1,1"},
		{"variable file", "a.hcl", "# prod\nimage = \"x\"\nports = [\n  1,\n]\ntags = {\n  a = 1\n}\n", "variable file", "2,1"},
		{"variable file that names a job", "a.hcl", "job = \"web\"\n", "variable file", "1,1"},
		{"broken variable file", "a.hcl", "image = \"x\"\nports = [1,,]\n", "variable file", "1,1"},
		{"policy", "a.hcl", "policy \"a\" {\n  match {\n    job = [\"x\"]\n  }\n}\n", "policy file", "1,1"},
		{"rollout", "a.hcl", "rollout \"a\" {\n  gate \"job\" \"x\" {\n  }\n}\n", "policy file", "1,1"},
		{"policy tests", "a.hcl", "test \"a\" {\n  job = \"x.hcl\"\n}\n", "policy test file", "1,1"},
		{"our configuration", "a.hcl", "nomad {\n}\n\nsource \"directory\" \"jobs\" {\n  path = \"jobs\"\n}\npolicies = [\"policies\"]\n", "reconcile configuration", "4,1"},
		{"our shortest configuration", "a.hcl", "nomad {\n  address = \"x\"\n}\n", "reconcile configuration", "1,1"},
		{"Terraform", "a.hcl", "locals {\n}\nresource \"nomad_job\" \"x\" {\n  jobspec = <<EOT\njob \"x\" {\n}\nEOT\n}\n", "Terraform file", "3,1"},
		{"broken Terraform", "a.hcl", "provider \"nomad\" {\n  address =\n}\n", "Terraform file", "1,1"},
		{"Packer", "a.hcl", "source \"docker\" \"x\" {\n}\nbuild {\n  sources = [\"source.docker.x\"]\n}\n", "Packer file", "3,1"},
		{"agent", "a.hcl", "data_dir = \"/opt\"\nclient {\n  enabled = true\n}\nplugin \"raw_exec\" {\n}\n", "Nomad agent configuration", "2,1"},
		{"ACL policy", "a.hcl", "namespace \"default\" {\n  policy = \"write\"\n}\nnode {\n  policy = \"read\"\n}\n", "ACL policy file", "1,1"},
		{"policy of Vault", "a.hcl", "path \"secret/*\" {\n  capabilities = [\"read\"]\n}\n", "ACL policy file", "1,1"},
		{"namespace", "a.hcl", "name = \"x\"\ncapabilities {\n  enabled_task_drivers = [\"docker\"]\n}\n", "Nomad resource file", "2,1"},
		{"quota", "a.hcl", "name = \"x\"\nlimit {\n  region = \"global\"\n}\n", "Nomad resource file", "2,1"},
		{"volume", "a.hcl", "id = \"x\"\ntype = \"csi\"\nplugin_id = \"y\"\ncapability {\n}\n", "Nomad resource file", "3,1"},
		{"variables of Nomad", "a.hcl", "path = \"x\"\nitems {\n  a = 1\n}\n", "Nomad resource file", "2,1"},
		{"Vault", "a.hcl", "ui = true\nstorage \"raft\" {\n}\n", "Consul or Vault configuration", "2,1"},
		{"Consul", "a.hcl", "Kind = \"service-defaults\"\nName = \"x\"\n", "Consul or Vault configuration", "1,1"},
		{"pack metadata", "metadata.hcl", "app {\n  url = \"x\"\n}\npack {\n  name = \"x\"\n}\n", "nomad-pack metadata file", "4,1"},
		{"autoscaler", "a.hcl", "scaling \"x\" {\n  policy {\n  }\n}\n", "autoscaler file", "1,1"},
		{"JSON", "a.json", "{\"name\": \"x\", \"job\": 1}", "JSON file of another kind", "1,1"},
		{"JSON list", "a.json", "[\n  {\"ID\": \"a\"}\n]\n", "JSON, TOML or INI file", "1,1"},
		{"YAML", "a.hcl", "services:\n  web:\n    image: x\nvolumes:\n  - a\n", "YAML file", "1,1"},
		{"YAML by name", "a.yaml", "a: 1\n", "YAML file", "1,1"},
		{"Markdown", "a.job", "# Title\n\nSome text, with `code`.\n\n```hcl\na = 1\n```\n", "Markdown file", "1,1"},
		{"HTML", "a.job", "<!doctype html>\n<p>x</p>\n", "markup file", "1,1"},
		{"Markdown with a template", "a.md", "# Title\n\n{{ include }}\n", "Markdown file", "1,1"},
		{"shell", "a.hcl", "# a\necho $HOME\nX=$Y\n", "text file", "2,1"},
		{"prose", "a.job", "Call me Ishmael. Some years ago\n", "text file", "1,1"},
		{"levant library", "a.hcl", "[[ define \"region\" ]]region = [[ .region ]][[ end ]]\n", "template", "1,1"},
		{"template before a block", "a.hcl", "a = 1\n\n[[- if .x ]]\nb {\n}\n[[- end ]]\n", "template", "3,1"},
		{"Helm", "a.hcl", "{{- if .Values.x }}\nlisten = {{ .Values.port }}\n{{- end }}\n", "template", "1,1"},
		{"Jinja", "a.hcl", "{% for x in y %}\na = 1\n{% endfor %}\n", "template", "1,1"},
		{"ERB", "a.hcl", "a = <%= port %>\n", "template", "1,5"},
		{"Terraform template", "a.hcl", "%{ for p in ports ~}\nb {\n}\n%{ endfor ~}\n", "template", "1,1"},
		{"envsubst", "a.hcl", "a = $PORT\n", "template", "1,5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := []byte(c.src)
			if jobspec.IsJob(src) {
				t.Fatal("IsJob takes it for a job")
			}
			got := jobspec.Recognize(c.file, src)
			if got.Kind != c.kind || position(got.Range) != c.at {
				t.Errorf("%s at %s, want %s at %s", got.Kind, position(got.Range), c.kind, c.at)
			}
			f, diags := jobspec.Parse(c.file, src, jobspec.Inputs{})
			if f != nil || len(diags) != 1 || position(*diags[0].Subject) != c.at {
				t.Errorf("Parse: %v", diags)
			}
			if !strings.Contains(strings.ToLower(diags.Error()), "looks like a") {
				t.Errorf("Parse: %v", diags)
			}
		})
	}
}

// HCL of no known kind keeps the diagnostics that say more: it may be a job with a
// typo.
func TestUnknownHCLKeepsItsMistakes(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		"jobb \"web\" {\n}\n":                 `Did you mean "job"?`,
		"variable \"a\" {\n}\nlocals {\n}\n":  "Missing job block",
		"group \"web\" {\n  count = \n}\n":    "Invalid expression",
		"variable \"a\" {\n  default = 1\n\n": "Unclosed configuration block",
	} {
		if _, diags := jobspec.Parse("a.hcl", []byte(src), jobspec.Inputs{}); !strings.Contains(diags.Error(), want) {
			t.Errorf("%q: %v, want %s", src, diags, want)
		}
	}
}

// A template of a job stays a job, held with one diagnostic at the first mark.
func TestTemplateOfAJob(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, src, at, by string }{
		{"levant", "job \"web\" {\n  group \"g\" {\n    count = [[ .count ]]\n    [[ range .x ]]\n    [[ end ]]\n  }\n}\n", "3,13", "levant"},
		{"levant in the header", "job [[ .name ]] {\n}\n", "1,5", "levant"},
		{"a name alone", "job [[ name ]] {\n}\n", "1,5", "levant"},
		{"nomad-pack", "job \"[[ var \"name\" . ]]\" {\n  type = \"service\"\n}\n", "1,6", "nomad-pack"},
		{"its quotes", "job \"web\" {\n  type = \"[[ var \"type\" . ]]\"\n}\n", "2,11", "nomad-pack"},
		{"comment of a template", "[[- /* a */ -]]\njob \"web\" {\n}\n", "1,1", "levant"},
		{"Go template", "job \"web\" {\n  {{ if .x }}\n  type = \"batch\"\n  {{ end }}\n}\n", "2,3", "Go templates"},
		{"Jinja", "job \"web\" {\n{% for x in y %}\n  group \"{{ x }}\" {}\n{% endfor %}\n}\n", "2,1", "Jinja"},
		{"Terraform", "job \"web\" {\n%{ for x in y ~}\n  group \"${x}\" {}\n%{ endfor ~}\n}\n", "2,1", "Terraform"},
		{"Terraform value", "job \"web\" {\n  priority = ${priority}\n}\n", "2,14", "Terraform"},
		{"envsubst", "job \"web\" {\n  priority = $PRIORITY\n}\n", "2,14", "envsubst"},
		{"CRLF and BOM", "\uFEFFjob \"web\" {\r\n  priority = [[ .p ]]\r\n}\r\n", "2,14", "levant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if !jobspec.IsJob([]byte(c.src)) {
				t.Error("IsJob does not know it")
			}
			_, diags := jobspec.Parse("a.hcl", []byte(c.src), jobspec.Inputs{})
			if len(diags) != 1 || position(*diags[0].Subject) != c.at || diags[0].Summary != "Unrendered template" || !strings.Contains(diags[0].Detail, c.by) {
				t.Errorf("%v; want it at %s", diags, c.at)
			}
		})
	}
}

// What is in strings, heredocs and comments, or is a list of lists, accuses nobody.
func TestNoFalseAccusation(t *testing.T) {
	t.Parallel()
	inside := "job \"web\" {\n  # [[ .x ]] {{ .y }} %{ if z } $HOME\n  meta {\n" +
		"    a = \"{{ env \\\"X\\\" }} [[ -f x ]] %%{ if }\"\n    b = <<EOT\n[[ .x ]]\n{{ range }}{{ end }}\n$HOME ${node.class} <% x %>\n[[ -f \"a\" ]] && echo \"[[ \"b\" ]]\"\nEOT\n" +
		"    c = [[1, 2], [[3]]]\n    d = [ [\"x\"]]\n    e = {a={b={c=1}}}\n"
	for _, c := range []struct{ name, end string }{
		{"typo", "  }\n  typ = \"x\"\n}\n"},
		{"syntax", "  }\n  type = \n}\n"},
		{"unclosed", "  }\n"},
		{"quote", "    f = \"[[ x\n  }\n}\n"},
	} {
		_, diags := jobspec.Parse("a.hcl", []byte(inside+c.end), jobspec.Inputs{})
		if !diags.HasErrors() || strings.Contains(diags.Error(), "nrendered template\"") || diags[0].Summary == "Unrendered template" {
			t.Errorf("%s: %v", c.name, diags)
		}
	}
}

// Nothing that Recognize is given makes it panic, or point out of the file.
func FuzzRecognize(f *testing.F) {
	for _, src := range []string{"", "job [[ .x ]] {", "a = \"[[ \"b", "{\"Job\": [[", "a {\n%{", "<", "[", "$", "[[]]", "{{}}", "\uFEFF[[ x ]]\n"} {
		f.Add("a.hcl", []byte(src))
	}
	f.Fuzz(func(t *testing.T, name string, src []byte) {
		got := jobspec.Recognize(name, src)
		if got.Kind == "" || got.Sign == "" || got.Next == "" || got.Range.Start.Byte > len(src) || got.Range.End.Byte > len(src) {
			t.Errorf("%+v of %q", got, src)
		}
		jobspec.Name(src)
		_, diags := jobspec.Parse(name, src, jobspec.Inputs{})
		for _, d := range diags {
			if d.Subject != nil && (d.Subject.Start.Byte > len(src) || d.Subject.End.Byte > len(src)) {
				t.Errorf("%v of %q", d, src)
			}
		}
	})
}

package report_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// Every secret below holds this word.
const planted = "planted"

const secretFile = `job "leaky" {
  group "g" {
    task "t" {
      config {
        command = "sudo"
        args = ["-E", "--token", "planted-arg", "--password=planted-flag"]
        args = [
          "--api-key",
          "planted-next-line",
        ]
        command = "curl -H 'Authorization: Bearer planted-bearer' https://user:planted-url@example.com"
        auth { password = "planted-auth" }
      }
      env {
        API_TOKEN = "planted-token"
        DB_PASS   = "planted-pass", GITHUB_AUTH = "planted-inline"
        "client_secret" = "planted-quoted"
        DSN = "postgres://app:planted-dsn@db/app"
        PRIVATE_KEY = <<EOF
planted-heredoc
EOF
      }
      template {
        data = <<EOT
password: planted-yaml
-----BEGIN RSA PRIVATE KEY-----
plantedplantedplantedpl
-----END RSA PRIVATE KEY-----
DB_PASSWORD='planted-shell'
EOT
      }
    }
  }
}
`

func secrets(t *testing.T) []reconcile.Plan {
	f := finding(t, "jobs/leaky.hcl", secretFile, `"-E"`)
	f.Message, f.Edits = "sudo -E with --token planted-message", []job.Edit{{}}
	task := taskPath()
	change := func(p job.Path, before, after cty.Value) reconcile.Change {
		return reconcile.Change{Difference: job.Difference{Path: p, Before: before, After: after}}
	}
	s := cty.StringVal
	obj := cty.ObjectVal(map[string]cty.Value{"PASSWORD": s("planted-map"), "args": strs("--secret", "planted-deep")})
	return []reconcile.Plan{{
		ID: id("leaky"), File: "jobs/leaky.hcl", Condition: reconcile.OutOfSync, Reason: "password=planted-reason",
		Findings: []reconcile.Finding{f}, FileDiff: diffOf("jobs/leaky.hcl", secretFile, strings.ReplaceAll(secretFile, "planted", "planted-new")),
		LiveDiff: []reconcile.Change{
			change(task.Attr("env").Attr("API_TOKEN"), s("planted-1"), s("planted-2")),
			change(task.Attr("env").Attr("DSN"), s("postgres://app:planted-3@db"), s("postgres://app:planted-4@db")),
			change(task.Attr("config").Attr("args"), strs("--token", "planted-5", "a"), strs("--token", "planted-6", "b")),
			change(task.Attr("config").Attr("x"), cty.NilVal, obj),
			change(task.Elem("template", 0).Attr("data"), s("a\npassword: planted-7\nb\n"), s("a\npassword: planted-8\nc\n")),
			change(task.Elem("template", 1).Attr("data"), s("password: planted-9\n\n"), s("password: planted-10\n\n")),
		},
		Live:      &reconcile.LiveState{Why: "task t: --password planted-why", Failure: &nomad.Failure{Task: "t", Message: "exec --token planted-exec", Stderr: []string{"login password=planted-stderr", "token: planted-log"}}},
		Variables: []reconcile.Variable{{Name: "db_password", Origin: "var", Value: s("planted-var")}},
		Notes:     []string{"API_KEY=planted-note"}, Left: []string{"--token planted-left"},
	}}
}

// Whatever writes, none of the planted secrets comes out.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	plans := secrets(t)
	runs := []history.Run{{ID: "1", Job: id("leaky"), Result: history.Failed, Reason: "gate: password=planted-r",
		Steps: []history.Step{{Name: "register", Detail: "--token planted-s"}}, Gates: []history.GateResult{{Kind: "logs", Detail: "token=planted-g"}}}}
	checked := secretCheck(t, plans)
	for _, style := range []report.Style{{}, {Width: 80}, {Width: 300, Color: true}} {
		var b bytes.Buffer
		report.Plans(&b, plans, style)
		report.Checks(&b, checked, style)
		report.Exceptions(&b, checked.Exceptions, style)
		report.Runs(&b, runs, style)
		report.History(&b, runs, time.Time{}, style)
		past := report.Past{Run: runs[0], FileDiff: plans[0].FileDiff}
		report.PastRun(&b, past, time.Time{}, style)
		report.Suspended(&b, []history.Suspension{{Reason: "password=planted-suspended"}}, style)
		status, one := secretStatus(plans[0], runs)
		report.StatusText(&b, status, true, time.Time{}, style)
		report.JobStatusText(&b, status, one, time.Time{}, style)
		report.StatusChanges(&b, nil, status, style)
		report.Error(&b, errors.New("reading: password=planted-e"), style)
		report.Diagnostics(&b, secretDiagnostics(t), map[string]*hcl.File{"leaky.hcl": {Bytes: []byte(secretFile)}}, style)
		for _, write := range []func() error{
			func() error { return report.PlansJSON(&b, plans, nil, checked.Exceptions) }, func() error { return report.ChecksJSON(&b, checked) },
			func() error { return report.ChecksSARIF(&b, checked) }, func() error { return report.ChecksJUnit(&b, checked) },
			func() error { return report.ChecksGitHub(&b, checked) },
			func() error { return report.Patch(&b, plans, report.Style{Width: 80}) },
			func() error { return report.RunsJSON(&b, runs) }, func() error { return report.HistoryJSON(&b, runs) },
			func() error { return report.PastJSON(&b, past) },
			func() error { return report.StatusJSON(&b, status) }, func() error { return report.JobStatusJSON(&b, one) },
			func() error { return report.ProblemJSON(&b, "password=planted-problem", "token=planted-next") },
		} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
		}
		p := report.NewProgress(&b, style, false)
		p.Event(reconcile.Event{Job: id("leaky"), Step: "x", Outcome: history.OK, Detail: "password=planted-p"})
		p.Close()
		for line := range strings.SplitSeq(b.String(), "\n") {
			if strings.Contains(line, planted) {
				t.Errorf("leaked: %s", line)
			}
		}
	}
}

// secretStatus has secrets wherever an agent may have heard of one.
func secretStatus(p reconcile.Plan, runs []history.Run) (report.Status, report.JobStatus) {
	j := controller.StatusOf(p, runs)
	o := controller.Overview{
		LoadErr: "password=planted-load", NomadErr: "https://u:planted-nomad@example.com does not answer",
		FilesErr: []string{"token=planted-files"}, Jobs: []controller.Status{j},
	}
	return report.StatusOf(o), report.JobStatusOf(j, &p, runs)
}

// secretCheck has secrets wherever a check takes text.
func secretCheck(t *testing.T, plans []reconcile.Plan) report.Check {
	waived := plans[0]
	e := policies.Exception{Policy: "p", Reason: "token=planted-waived", Expires: time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)}
	waived.Findings = slices.Clone(waived.Findings)
	waived.Findings[0].Exception = &e
	waived.Hold = &reconcile.Hold{Reason: "password=planted-hold", Next: "mend it"}
	return report.Check{
		Plans: append(slices.Clone(plans), waived), Diagnostics: secretDiagnostics(t), Exceptions: []report.Due{{Exception: e}},
		Side: policies.FileSide, Policies: []policies.Info{{
			Name: "p", Description: "password=planted-description", Why: "token=planted-why",
			Rules: []policies.RuleInfo{{ID: "rule.r", Description: "secret=planted-rule", Assert: `task.config.url != "https://u:planted-assert@example.com"`}},
		}},
	}
}

func secretDiagnostics(t *testing.T) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, literal := range []string{`"planted-arg"`, `"planted-token"`, `"planted-auth"`} {
		rng := literalRange(secretFile, literal)
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagError, Summary: "Bad value", Detail: "Not --token planted-detail", Subject: &rng})
	}
	expr, parsed := hclsyntax.ParseExpression([]byte("db_password"), "x", hcl.InitialPos)
	if parsed.HasErrors() {
		t.Fatal(parsed)
	}
	diags[0].Expression = expr
	diags[0].EvalContext = &hcl.EvalContext{Variables: map[string]cty.Value{"db_password": cty.StringVal("planted-eval")}}
	return diags
}

func literalRange(src, literal string) hcl.Range {
	at := strings.Index(src, literal)
	line := 1 + strings.Count(src[:at], "\n")
	column := at - strings.LastIndex(src[:at], "\n")
	return hcl.Range{Filename: "leaky.hcl", Start: hcl.Pos{Line: line, Column: column, Byte: at}, End: hcl.Pos{Line: line, Column: column + len(literal), Byte: at + len(literal)}}
}

// What merely sounds like a secret stays readable.
func TestNotSecret(t *testing.T) {
	t.Parallel()
	p := reconcile.Plan{
		ID: id("token-service"), File: "jobs/token.hcl", Condition: reconcile.Held,
		Reason: "jobs/token.hcl:3:5: Unsupported argument", Hold: &reconcile.Hold{Next: "mend jobs/secrets/token.hcl:3:5: then go on"},
		Notes: []string{"token-service: somebody registered it"},
	}
	f := policies.Finding{Policy: "p", Rule: "env.required", Enforce: policies.Warn, Side: policies.LiveSide, Message: "task token: the env block lacks API_TOKEN, DB_PASS"}
	p.Findings = []reconcile.Finding{{Finding: f}}
	got := plansText([]reconcile.Plan{p}, report.Style{})
	var b bytes.Buffer
	report.Error(&b, &reconcile.StaleError{Job: id("token-service"), What: "jobs/token.hcl changed"}, report.Style{})
	got += b.String()
	for _, want := range []string{p.Reason, p.Hold.Next, p.Notes[0], "lacks API_TOKEN, DB_PASS", "token-service: jobs/token.hcl changed since"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

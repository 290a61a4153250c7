package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aymanbagabas/go-udiff"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

const orchestratorFile = `variable "region" {
  default = "eu"
}

job "orchestrator" {
  # 编排服务：沙箱的生命周期由它管理
  group "orchestrator" {
    task "orchestrator" {
      driver = "raw_exec"

      config {
        command = "sudo"
        args    = ["-E", "/mnt/data1/pcloud/infra/local-deploy/scripts/start-orchestrator.sh"]
      }

      env {
        NODE_ID   = "node-1"
        API_TOKEN = "planted-in-env"
      }
    }
  }
}
`

const startScript = "/mnt/data1/pcloud/infra/local-deploy/scripts/start-orchestrator.sh"

// finding is one at the first place of literal in src, as hclsyntax counts.
func finding(t *testing.T, file, src, literal string) reconcile.Finding {
	t.Helper()
	rng := rangeOf(t, file, src, literal)
	line := strings.Split(src, "\n")[rng.Start.Line-1]
	return reconcile.Finding{
		Finding: policies.Finding{Policy: "orchestrator-env", Rule: "sudo.preserve_env", Enforce: policies.Deny, Side: policies.FileSide, Message: "m", Fix: true},
		File:    file, Range: rng, Source: strings.TrimSuffix(line, "\r"),
	}
}

// rangeOf asks HCL's own lexer where a token of that text stands.
func rangeOf(t *testing.T, file, src, literal string) hcl.Range {
	t.Helper()
	at := strings.Index(src, literal)
	if at < 0 {
		t.Fatalf("%q is not in the source", literal)
	}
	tokens, diags := hclsyntax.LexConfig([]byte(src), file, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	out := hcl.Range{Filename: file}
	for _, token := range tokens {
		if token.Range.Start.Byte == at {
			out.Start = token.Range.Start
		}
		if token.Range.End.Byte == at+len(literal) {
			out.End = token.Range.End
		}
	}
	return out
}

func argsPath() job.Path {
	return job.Path{}.Block("group", "orchestrator").Block("task", "orchestrator").Attr("config").Attr("args")
}

func taskPath() job.Path {
	return job.Path{}.Block("group", "orchestrator").Block("task", "orchestrator")
}

func strs(texts ...string) cty.Value {
	vals := make([]cty.Value, len(texts))
	for i, s := range texts {
		vals[i] = cty.StringVal(s)
	}
	return cty.TupleVal(vals)
}

func id(name string) job.ID { return job.ID{Namespace: "default", Name: name} }

// orchestrator is the plan of the runbook that this product replaces.
func orchestrator(t *testing.T) reconcile.Plan {
	const file = "jobs/orchestrator.hcl"
	f := finding(t, file, orchestratorFile, `"-E"`)
	f.Path = job.Path{}.Block("group", "orchestrator").Block("task", "orchestrator").Attr("config").Elem("args", 0)
	f.Edits = []job.Edit{{Path: f.Path, Op: job.Remove, Value: cty.StringVal("-E")}}
	f.Message = "sudo is asked to keep the caller's environment (-E), which sudoers does not allow here"
	live := f
	live.Side, live.File, live.Range, live.Source = policies.LiveSide, "", hcl.Range{}, ""
	return reconcile.Plan{
		ID: id("orchestrator"), File: file, Condition: reconcile.OutOfSync,
		Reason:   "1 to fix in the file, 1 to fix in the live job",
		Findings: []reconcile.Finding{f, live},
		FileDiff: diffOf(file, orchestratorFile, strings.Replace(orchestratorFile, `"-E", `, "", 1)),
		LiveDiff: []reconcile.Change{{Finding: true, Difference: job.Difference{Path: argsPath(), Before: strs("-E", startScript), After: strs(startScript)}}},
		Live: &reconcile.LiveState{
			Version: 3, Status: "running", Why: "allocation 06b36305 is failed", Allocations: map[string]int{"failed": 1},
			Failure: &nomad.Failure{Task: "orchestrator", ExitCode: 1, Message: "Exit Code: 1", Stderr: []string{"sudo: sorry, you are not allowed to preserve the environment"}},
		},
		Actions: []reconcile.Action{reconcile.EditFile, reconcile.Register},
		Rollout: policies.Rollout{Name: "orchestrator", Strategy: policies.Restart, Deadline: 11 * time.Minute, OnFailure: policies.Rollback, Gates: []policies.Gate{
			{Kind: "logs", Name: "no-sudo-errors", Spec: described("no line matches ^sudo: for 15s")},
			{Kind: "sudoers", Name: "start-script", Before: true},
		}},
		Variables: []reconcile.Variable{{Name: "region", Origin: "default", Value: cty.StringVal("eu")}, {Name: "db_password", Origin: "NOMAD_VAR_db_password", Value: cty.StringVal("planted-in-var")}},
	}
}

type described string

func (d described) String() string { return string(d) }

func diffOf(name, before, after string) string {
	return udiff.Unified("a/"+name, "b/"+name, before, after)
}

func inSync(names ...string) []reconcile.Plan {
	var out []reconcile.Plan
	for _, name := range names {
		out = append(out, reconcile.Plan{ID: id(name), Condition: reconcile.InSync, Live: &reconcile.LiveState{Healthy: true}})
	}
	return out
}

package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/doctor"
	"nomad-reconcile/reconcile/gates"
)

// sick is the runbook's job as a doctor finds it.
func sick(t *testing.T) doctor.Facts {
	plan := orchestrator(t)
	now := time.Unix(10_000, 0)
	return doctor.Facts{
		ID: plan.ID, Now: now, Plan: &plan,
		Live: &reconcile.Live{Job: &api.Job{}, State: *plan.Live},
		Tasks: []doctor.Task{{
			Alloc: "06b36305-aaaa", Node: "node-1", Name: "orchestrator", State: "dead", Failed: true, Restarts: 1,
			Events: []doctor.Event{
				{Time: now.Add(-3 * time.Minute), Type: api.TaskStarted, Message: "Task started by client"},
				{Time: now.Add(-3 * time.Minute), Type: api.TaskTerminated, Ended: true, ExitCode: 1},
				{Time: now.Add(-time.Second), Type: api.TaskNotRestarting, Message: `Exceeded allowed attempts 1 in interval 5m0s and mode is "fail"`},
			},
			Stderr: []string{"启动脚本：正在读取配置文件，随后建立网络命名空间以及虚拟机的网桥，最后启动服务；请稍候，这可能需要几分钟", "sudo: sorry, you are not allowed to preserve the environment"},
		}},
		Sudo: []doctor.Sudo{
			{Task: "orchestrator", Line: "sudo -E " + startScript, User: "primihub", RunAs: "root", Preserve: true, Env: 2,
				Says: gates.SudoSays{Allowed: true, NoPasswd: true, EnvReset: true, Rule: "primihub ALL=(ALL) NOPASSWD: " + startScript, Command: startScript}},
			{Task: "side", Line: "sudo id", Unknown: "the task runs with the driver docker, which may have a sudoers of its own"},
			{Task: "init", Line: "sudo /bin/true", User: "root", RunAs: "root", Says: gates.SudoSays{Allowed: true, NoPasswd: true, SetEnv: true, Rule: "root ALL=(ALL) ALL"}},
		},
		Gates:       []gates.Result{{Kind: "job", Name: "api", Passed: true, Detail: "job api is running"}, {Kind: "http", Name: "sandbox", Detail: "status 500"}},
		Evaluations: []*api.Evaluation{{Status: "blocked", FailedTGAllocs: map[string]*api.AllocationMetric{"orchestrator": {NodesEvaluated: 3, ConstraintFiltered: map[string]int{"${attr.kernel.name} = windows": 3}}}}},
		Deployment:  &api.Deployment{ID: "d1", Status: "failed", StatusDescription: "Failed due to unhealthy allocations"},
		Unknown:     []string{"what it has launched: permission denied"},
	}
}

func doctorText(f doctor.Facts, s report.Style) string {
	var b bytes.Buffer
	report.Doctor(&b, doctor.Examine(f), s)
	return b.String()
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	golden(t, "doctor-80", doctorText(sick(t), report.Style{Width: 80}))
	golden(t, "doctor-140-color", doctorText(sick(t), report.Style{Width: 140, Color: true}))
	golden(t, "doctor-blind", doctorText(doctor.Facts{ID: id("web"), Fault: errors.New("no answer from Nomad")}, report.Style{}))
	for line := range strings.SplitSeq(doctorText(sick(t), report.Style{Width: 80}), "\n") {
		if n := wideAs(line); n > 80 && !strings.Contains(line, startScript) {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// wideAs is how many columns a line takes; all that is wide here is Chinese.
func wideAs(line string) int {
	n := 0
	for _, r := range line {
		n++
		if r >= 0x2e80 {
			n++
		}
	}
	return n
}

func TestDoctorJSON(t *testing.T) {
	t.Parallel()
	for name, facts := range map[string]doctor.Facts{"doctor.json": sick(t), "doctor-blind.json": {ID: id("web"), Fault: errors.New("no answer from Nomad")}} {
		var b bytes.Buffer
		if err := report.DoctorJSON(&b, doctor.Examine(facts)); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b.Bytes()) || bytes.Contains(b.Bytes(), []byte(`s": null`)) {
			t.Errorf("%s: not JSON, or a list is null:\n%s", name, b.String())
		}
		golden(t, name, b.String())
	}
}

// Whatever a task, a gate or sudoers says, no secret comes out.
func TestDoctorHasNoSecrets(t *testing.T) {
	t.Parallel()
	f := sick(t)
	f.Plan.Findings[0].Message = "sudo -E with --token planted-message"
	f.Live.State.Why, f.Unknown, f.Plan.Hold = "password=planted-why", []string{"token=planted-unknown"}, &reconcile.Hold{Reason: "password=planted-hold", Next: "say --password planted-next"}
	f.Tasks[0].Stderr = []string{"login password=planted-stderr", "-----BEGIN RSA PRIVATE KEY-----", "plantedplanted", "-----END RSA PRIVATE KEY-----", "postgres://u:planted-url@db", "token: planted-last"}
	f.Tasks[0].Events[0].Message, f.Tasks[0].NoStderr = "exec --token planted-event", "api_key=planted-unread"
	f.Sudo[0].Line, f.Sudo[0].Says.Rule = "sudo -E x --password planted-line", "app ALL=(ALL) NOPASSWD: /x --password planted-rule"
	f.Sudo[0].Says.Command, f.Sudo[1].Unknown = "/x --token=planted-command", "secret=planted-sudo"
	f.Gates[1].Detail, f.Deployment.StatusDescription = "token=planted-gate", "password=planted-deployment"
	for _, style := range []report.Style{{}, {Width: 80}, {Width: 300, Color: true}} {
		var b bytes.Buffer
		b.WriteString(doctorText(f, style))
		f.Tasks[0].Events[1].ExitCode = 0 // another cause, another verdict
		b.WriteString(doctorText(f, style))
		if err := report.DoctorJSON(&b, doctor.Examine(f)); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(b.String(), "\n") {
			if strings.Contains(line, planted) {
				t.Errorf("leaked: %s", line)
			}
		}
	}
}

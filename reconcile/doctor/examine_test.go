package doctor_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/doctor"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

const script = "/opt/start.sh"

// well is a job that runs and of which there is nothing to say.
func well() doctor.Facts {
	return doctor.Facts{
		ID: job.ID{Namespace: "default", Name: "web"}, Now: time.Unix(1000, 0),
		Plan: &reconcile.Plan{File: "jobs/web.hcl", Condition: reconcile.InSync},
		Live: &reconcile.Live{
			Job:   &api.Job{ID: new("web"), Type: new("service"), TaskGroups: []*api.TaskGroup{{Name: new("g"), Tasks: []*api.Task{{Name: "t", Resources: &api.Resources{MemoryMB: new(4096)}}}}}},
			State: reconcile.LiveState{Version: 3, Status: "running"},
		},
		Allocations: []*api.AllocationListStub{{ID: "a1", NodeID: "n1", NodeName: "node-1", TaskGroup: "g", DesiredStatus: "run", ClientStatus: "running"}},
	}
}

// broken is one whose allocation failed.
func broken(t doctor.Task) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		t.Name, t.Alloc = "t", "a1234567-long"
		f.Tasks, f.Live.State.Why = []doctor.Task{t}, "allocation a1 is failed"
		f.Allocations[0].ClientStatus = "failed"
	}
}

func ended(code, signal int, oom bool) []doctor.Event {
	return []doctor.Event{{Type: api.TaskStarted}, {Type: api.TaskTerminated, Ended: true, ExitCode: code, Signal: signal, OOM: oom}, {Type: api.TaskNotRestarting}}
}

func preserving(says gates.SudoSays) doctor.Sudo {
	says.Command = script
	return doctor.Sudo{Task: "t", Line: "sudo -E " + script, User: "app", RunAs: "root", Preserve: true, Says: says}
}

func finding(fix bool) reconcile.Finding {
	f := reconcile.Finding{
		Finding: policies.Finding{Rule: "sudo.preserve_env", Enforce: policies.Deny, Side: policies.FileSide, Fix: fix, Edits: []job.Edit{{}}},
		File:    "jobs/web.hcl", Range: hcl.Range{Start: hcl.Pos{Line: 47, Column: 17}},
	}
	return f
}

func all(changes ...func(*doctor.Facts)) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		for _, c := range changes {
			c(f)
		}
	}
}

func fixable(f *doctor.Facts) {
	f.Plan.Findings, f.Plan.Condition = []reconcile.Finding{finding(true)}, reconcile.OutOfSync
	f.Plan.Actions = []reconcile.Action{reconcile.EditFile, reconcile.Register}
}

func sudo(s ...doctor.Sudo) func(*doctor.Facts) { return func(f *doctor.Facts) { f.Sudo = s } }

func blocked(f *doctor.Facts) {
	f.Evaluations = []*api.Evaluation{{ID: "e1234567-long", Status: "blocked", FailedTGAllocs: map[string]*api.AllocationMetric{"g": {NodesEvaluated: 2, DimensionExhausted: map[string]int{"memory": 2}}}}}
	f.Allocations, f.Live.State.Why = nil, "0 of 1 allocations are placed"
}

func deployment(status, text string) func(*doctor.Facts) {
	return func(f *doctor.Facts) {
		f.Deployment = &api.Deployment{ID: "d1234567-long", Status: status, StatusDescription: text, TaskGroups: map[string]*api.DeploymentState{"g": {DesiredTotal: 2, HealthyAllocs: 1}}}
	}
}

var refused = doctor.Task{Events: ended(1, 0, false), Stderr: []string{"hello", "sudo: sorry, you are not allowed to preserve the environment", ""}}

const applies = "reconcile apply web"

// The verdict, the health and the commands for everything that a job can suffer from.
func TestExamine(t *testing.T) {
	t.Parallel()
	unreachable := &nomad.Error{Op: "reading job", Subject: "web", Hint: "check NOMAD_ADDR", Err: fmt.Errorf("%w at http://x", nomad.ErrUnreachable)}
	tests := map[string]struct {
		change func(*doctor.Facts)
		want   string // health: verdict
		next   []string
	}{
		"well":        {all(), "fine: nothing is wrong: 1 allocation of version 3 runs", nil},
		"well in two": {func(f *doctor.Facts) { f.Allocations = append(f.Allocations, f.Allocations[0]) }, "fine: nothing is wrong: 2 allocations of version 3 run", nil},
		"count 0":     {func(f *doctor.Facts) { f.Allocations = nil }, "fine: nothing is wrong: there is nothing to run", nil},
		"not all is known": {func(f *doctor.Facts) { f.Unknown = []string{"the deployment: x"} },
			"fine: nothing wrong is known, but not all could be looked at: 1 allocation of version 3 runs", nil},
		"under way": {deployment("running", "Deployment is running"), "fine: nothing is wrong so far, its deployment is under way: 1 allocation of version 3 runs", nil},
		"unreachable": {func(f *doctor.Facts) { f.Fault, f.Live = unreachable, nil },
			"unknown: no answer from Nomad at http://x; check NOMAD_ADDR", []string{"nomad server members", "systemctl status nomad"}},
		"another fault":  {func(f *doctor.Facts) { f.Fault, f.Live = errors.New("odd"), nil }, "unknown: odd", []string{"nomad server members", "systemctl status nomad"}},
		"not registered": {func(f *doctor.Facts) { f.Live = nil }, "ill: Nomad does not know the job: it was never registered, or was purged", []string{applies}},
		"not registered, held": {func(f *doctor.Facts) {
			f.Live, f.Plan.Hold = nil, &reconcile.Hold{Reason: "does not parse", Next: "mend it"}
		},
			"ill: Nomad does not know the job: it was never registered, or was purged, and its file is held: does not parse", []string{"reconcile plan web"}},
		"not registered, denied": {func(f *doctor.Facts) {
			f.Live, f.Plan.Condition, f.Plan.Findings = nil, reconcile.Denied, []reconcile.Finding{finding(false)}
		}, "ill: Nomad does not know the job: it was never registered, or was purged, and a policy that has no fix keeps its file from being registered", []string{"reconcile plan web"}},
		"stopped": {func(f *doctor.Facts) { f.Live.State.Stopped = true }, "held: an operator stopped it; reconcile does not start it by itself", []string{"reconcile apply -start web"}},
		"stopped, without a file": {func(f *doctor.Facts) {
			f.Live.State.Stopped, f.Plan.File, f.Plan.Source = true, "", "nomad:default/web"
		}, "held: an operator stopped it; reconcile does not start it by itself", []string{"reconcile apply -start web"}},
		"fixable, without a file": {all(fixable, func(f *doctor.Facts) {
			f.Plan.File, f.Plan.Source, f.Plan.Actions = "", "nomad:default/web", []reconcile.Action{reconcile.Register}
		}), "fine: it runs, and breaks its policies: 1 finding to fix", []string{applies}},
		"stopped, bare":       {func(f *doctor.Facts) { f.Live.State.Stopped, f.Bare = true, true }, "held: an operator stopped it", []string{"nomad job start web"}},
		"stopped, no plan":    {func(f *doctor.Facts) { f.Live.State.Stopped, f.Plan = true, nil }, "held: an operator stopped it", []string{"nomad job start web"}},
		"sudo, the runbook":   {all(broken(refused), fixable, sudo(preserving(gates.SudoSays{Allowed: true, NoPasswd: true}))), "ill: task t: sudo refuses to preserve the environment, which jobs/web.hcl:47:17 asks of it; sudoers gives app no SETENV for it", []string{applies}},
		"sudo, bare":          {all(broken(refused), fixable, sudo(preserving(gates.SudoSays{Allowed: true, NoPasswd: true})), func(f *doctor.Facts) { f.Bare, f.Flags, f.Plan.Actions = true, "-policy p.hcl", nil }), "ill: task t: sudo refuses to preserve the environment, which jobs/web.hcl:47:17 asks of it; sudoers gives app no SETENV for it", []string{"reconcile check -fix -policy p.hcl jobs/web.hcl", "nomad job run jobs/web.hcl"}},
		"sudo, nobody minds":  {all(broken(refused), sudo(preserving(gates.SudoSays{Allowed: true, NoPasswd: true}))), "ill: task t: sudo refuses to preserve the environment; sudoers gives app no SETENV for it", []string{`echo 'app ALL=(ALL) NOPASSWD: SETENV: /opt/start.sh' | sudo EDITOR='tee -a' visudo -f /etc/sudoers.d/web`}},
		"sudo, and no rule":   {all(broken(refused), fixable, sudo(preserving(gates.SudoSays{}))), "ill: task t: sudo refuses to preserve the environment, which jobs/web.hcl:47:17 asks of it; sudoers has no rule that lets app run /opt/start.sh as root", []string{`echo 'app ALL=(ALL) NOPASSWD: /opt/start.sh' | sudo EDITOR='tee -a' visudo -f /etc/sudoers.d/web`, applies}},
		"sudo, allowed now":   {all(broken(refused), fixable, sudo(preserving(gates.SudoSays{Allowed: true, NoPasswd: true, SetEnv: true}))), "ill: task t: sudo refuses to preserve the environment, which jobs/web.hcl:47:17 asks of it; by now sudoers would let it", []string{applies}},
		"sudo, elsewhere":     {all(broken(refused), fixable, sudo(doctor.Sudo{Task: "t", Preserve: true, Unknown: "on node x"})), "ill: task t: sudo refuses to preserve the environment, which jobs/web.hcl:47:17 asks of it", []string{applies}},
		"sudo, a password":    {all(broken(doctor.Task{Events: ended(1, 0, false), Stderr: []string{"sudo: a password is required"}}), sudo(doctor.Sudo{Task: "t", User: "app", RunAs: "root", Says: gates.SudoSays{Allowed: true, Command: script}})), "ill: task t: sudo wants a password, and nobody can type one for a task; sudoers gives app no NOPASSWD for it", []string{`echo 'app ALL=(ALL) NOPASSWD: /opt/start.sh' | sudo EDITOR='tee -a' visudo -f /etc/sudoers.d/web`}},
		"sudo, no logs":       {all(broken(doctor.Task{Events: ended(1, 0, false), NoStderr: "read-logs"}), fixable, sudo(preserving(gates.SudoSays{Allowed: true, NoPasswd: true}))), "ill: task t: sudo would refuse its line, which jobs/web.hcl:47:17 asks of it; sudoers gives app no SETENV for it", []string{applies}},
		"sudo, not the cause": {all(broken(doctor.Task{Events: ended(3, 0, false), Stderr: []string{"fatal: no database"}}), sudo(preserving(gates.SudoSays{}))), "ill: task t ends with exit code 3; it said: fatal: no database", []string{"nomad alloc logs -stderr a1234567 t"}},
		"exit code":           {broken(doctor.Task{Events: ended(3, 0, false), Restarts: 2}), "ill: task t ends with exit code 3, after 2 restarts", []string{"nomad alloc logs -stderr a1234567 t"}},
		"not there":           {broken(doctor.Task{Events: ended(127, 0, false), Stderr: []string{"sh: x: not found"}}), "ill: task t ended with exit code 127: what it calls is not there; it said: sh: x: not found", []string{"nomad alloc logs -stderr a1234567 t"}},
		"not executable":      {broken(doctor.Task{Events: ended(126, 0, false)}), "ill: task t ended with exit code 126: what it calls cannot be executed", []string{"nomad alloc logs -stderr a1234567 t"}},
		"signal":              {broken(doctor.Task{Events: ended(0, 11, false)}), "ill: task t was ended by signal 11", []string{"nomad alloc logs -stderr a1234567 t"}},
		"memory":              {broken(doctor.Task{Events: ended(137, 9, true), Memory: 300}), "ill: task t was killed for want of memory: it may use 300 MB", []string{"nomad alloc logs -stderr a1234567 t"}},
		"driver":              {broken(doctor.Task{Events: []doctor.Event{{Type: api.TaskDriverFailure, Message: `binary "x" could not be found`}, {Type: api.TaskNotRestarting}}}), `ill: task t cannot be started: binary "x" could not be found`, []string{"nomad alloc status a1234567"}},
		"artifact":            {broken(doctor.Task{Events: []doctor.Event{{Type: api.TaskArtifactDownloadFailed}}}), "ill: task t cannot be started: Failed Artifact Download", []string{"nomad alloc status a1234567"}},
		"waits": {all(broken(doctor.Task{State: "pending", Events: []doctor.Event{{Type: "Template", Message: "Missing: nomad.var.block(x)"}}}), func(f *doctor.Facts) { f.Allocations[0].ClientStatus = "pending" }),
			"ill: task t has not started: Missing: nomad.var.block(x)", []string{"nomad alloc status a1234567"}},
		"no place": {blocked, "ill: group g has no place: no node has 4096 MB memory free", []string{"nomad node status -allocs", "nomad eval status e1234567"}},
		"a place since then": {func(f *doctor.Facts) {
			blocked(f)
			f.Evaluations = append([]*api.Evaluation{{Status: "complete"}}, f.Evaluations...)
			f.Evaluations[1].Status = "complete"
		}, "ill: 0 of 1 allocations are placed", []string{"nomad job status web"}},
		"node lost":         {func(f *doctor.Facts) { f.Allocations[0].ClientStatus, f.Live.State.Why = "unknown", "x" }, "ill: node node-1 does not answer: allocation a1 is unknown", []string{"nomad node status n1", "ssh node-1 systemctl status nomad"}},
		"deployment failed": {all(deployment("failed", "Failed due to progress deadline."), func(f *doctor.Facts) { f.Live.State.Why = "x" }), "ill: its deployment failed: Failed due to progress deadline", []string{"nomad deployment status d1234567"}},
		"unhealthy": {all(deployment("failed", "Failed due to unhealthy allocations"), func(f *doctor.Facts) {
			f.Allocations[0].DeploymentStatus = &api.AllocDeploymentStatus{Healthy: new(false)}
		}), "ill: its tasks run, but allocation a1 is not healthy: Failed due to unhealthy allocations", []string{"nomad alloc checks a1", "nomad alloc logs -stderr a1"}},
		"canaries": {deployment("running", "Deployment is running but requires manual promotion"), "held: its canaries run and wait for promotion: the rest keeps the old version", []string{"nomad deployment promote d1234567", "nomad deployment fail d1234567"}},
		"degraded, scheduler": {func(f *doctor.Facts) {
			f.Live.State.Why, f.Evaluations = "0 of 1 allocations are placed", []*api.Evaluation{{Status: "failed", StatusDescription: "maximum attempts reached (5)."}}
		}, "ill: 0 of 1 allocations are placed; the newest evaluation failed: maximum attempts reached (5)", []string{"nomad job status web"}},
		"gate": {func(f *doctor.Facts) {
			f.Gates = []gates.Result{{Kind: "tcp", Passed: true}, {Kind: "http", Name: "page", Detail: "status 500"}}
		},
			"ill: it runs by Nomad's account, but gate http page fails: status 500", []string{"nomad job status web"}},
		"held": {func(f *doctor.Facts) { f.Plan.Hold = &reconcile.Hold{Reason: "two files, one job", Next: "keep one"} }, "held: it runs, and nothing is done to it: two files, one job", []string{"reconcile plan web"}},
		"denied": {func(f *doctor.Facts) {
			f.Plan.Condition, f.Plan.Findings = reconcile.Denied, []reconcile.Finding{finding(false)}
		}, "denied: it runs, and breaks its policies: 1 finding that has no fix", []string{"reconcile plan web"}},
		"to fix":       {fixable, "fine: it runs, and breaks its policies: 1 finding to fix", []string{applies}},
		"excepted":     {func(f *doctor.Facts) { fixable(f); f.Plan.Findings[0].Exception = &policies.Exception{} }, "fine: nothing is wrong: 1 allocation of version 3 runs", nil},
		"not launched": {func(f *doctor.Facts) { f.Live.Job.Periodic, f.Allocations = &api.PeriodicConfig{}, nil }, "fine: nothing is wrong: it has not been launched yet", nil},
		"launched well": {func(f *doctor.Facts) {
			f.Live.Job.Periodic, f.Child, f.Allocations[0].ClientStatus = &api.PeriodicConfig{}, "web/periodic-1", "complete"
		}, "fine: nothing is wrong: it has run to its end", nil},
		"finished": {func(f *doctor.Facts) { f.Live.State.Status, f.Allocations[0].ClientStatus = "dead", "complete" }, "fine: nothing is wrong: it has run to its end", nil},
		"namespace and odd name": {func(f *doctor.Facts) {
			fixable(f)
			f.ID = job.ID{Namespace: "apps", Name: "a b"}
			f.Flags = "-config x.hcl"
		},
			"fine: it runs, and breaks its policies: 1 finding to fix", []string{"reconcile apply -config x.hcl 'a b@apps'"}},
	}
	for name, tt := range tests {
		f := well()
		tt.change(&f)
		p := doctor.Examine(f)
		if got := p.Health.Words() + ": " + p.Verdict; got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
		var next []string
		for _, s := range p.Next {
			next = append(next, s.Command)
			if strings.TrimSpace(s.Why) == "" {
				t.Errorf("%s: no reason to type %s", name, s.Command)
			}
		}
		if diff := cmp.Diff(tt.next, next); diff != "" {
			t.Errorf("%s: next (-want +got):\n%s", name, diff)
		}
	}
}

func TestComplaints(t *testing.T) {
	t.Parallel()
	says := func(rule string, nopasswd, setenv, reset bool) gates.SudoSays {
		return gates.SudoSays{Allowed: true, NoPasswd: nopasswd, SetEnv: setenv, EnvReset: reset, Rule: rule, Command: script}
	}
	tests := map[string]struct {
		preserve bool
		env      int
		says     gates.SudoSays
		want     []string
	}{
		"nothing":           {false, 3, says("", true, false, false), nil},
		"no rule":           {true, 3, gates.SudoSays{Command: script}, []string{"! no rule of sudoers lets app run /opt/start.sh as root | app ALL=(ALL) NOPASSWD: /opt/start.sh"}},
		"no SETENV":         {true, 0, says("", true, false, true), []string{"! SETENV is missing: without it sudo refuses to preserve the environment | app ALL=(ALL) NOPASSWD: SETENV: /opt/start.sh"}},
		"SETENV":            {true, 3, says("app ALL=(ALL) SETENV: x", true, true, true), nil},
		"SETENV too much":   {false, 0, says("app ALL=(ALL) NOPASSWD: SETENV: /opt/", true, true, true), []string{"SETENV is too much: the task does not ask sudo to preserve the environment | "}},
		"SETENV of ALL":     {false, 0, says("root ALL=(ALL) ALL", true, true, true), nil},
		"no NOPASSWD":       {false, 0, says("", false, false, true), []string{"! NOPASSWD is missing: nobody can type a password for a task | app ALL=(ALL) NOPASSWD: /opt/start.sh"}},
		"env does not come": {false, 1, says("", true, false, true), []string{"env_reset is in force: the env block of the task (1 key) does not reach the command | Defaults!/opt/start.sh !env_reset"}},
	}
	for name, tt := range tests {
		s := doctor.Sudo{User: "app", RunAs: "root", Preserve: tt.preserve, Env: tt.env, Says: tt.says}
		var got []string
		for _, c := range s.Complaints() {
			text := c.Text + " | " + c.Sudoers
			if c.Fatal {
				text = "! " + text
			}
			got = append(got, text)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if s := (doctor.Sudo{Unknown: "x"}); s.Complaints() != nil || s.Fatal().Fatal {
		t.Error("what is not known is no complaint")
	}
}

package policies_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
)

const noSudoEnv = `
policy "no-sudo-env" {
  fix = true
  sudo {
    preserve_env = false
  }
}
`

func TestSudo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		config map[string]any
		want   []string // the edits, by path from config on
	}{
		{"the seed", map[string]any{"command": "sudo", "args": []any{"-E", "/start.sh"}}, []string{`remove args[0] "-E"`}},
		{"absolute", map[string]any{"command": "/usr/bin/sudo", "args": []any{"-n", "-E", "x"}}, []string{`remove args[1] "-E"`}},
		{"a bundle", map[string]any{"command": "sudo", "args": []any{"-nE", "x"}}, []string{`set args[0] = "-n"`}},
		{"two", map[string]any{"command": "sudo", "args": []any{"-E", "--preserve-env=A", "-nE", "x"}},
			[]string{`set args[2] = "-n"`, `remove args[1] "--preserve-env=A"`, `remove args[0] "-E"`}},
		{"numbers in the list", map[string]any{"command": "sudo", "args": []any{"-C", 3, "-E", "x"}}, []string{`remove args[2] "-E"`}},
		{"the command is a list", map[string]any{"command": []any{"sudo", "-E", "x"}}, []string{`remove command[1] "-E"`}},
		{"the args are the command", map[string]any{"image": "i", "args": []any{"sudo", "-E", "x"}}, []string{`remove args[1] "-E"`}},
		{"a shell", map[string]any{"command": "/bin/sh", "args": []any{"-c", "cd /x && sudo -E ./run"}}, []string{`replace args[1] ""`}},
		{"env", map[string]any{"command": "env", "args": []any{"X=1", "sudo", "-E", "x"}}, []string{`remove args[2] "-E"`}},
		{"env and a list", map[string]any{"command": []any{"env", "X=1", "sudo", "-nE", "x"}}, []string{`set command[3] = "-n"`}},
		{"an entrypoint that is a shell", map[string]any{"entrypoint": []any{"/bin/sh", "-c"}, "command": "sudo -E x", "args": []any{"sudo", "-E"}},
			[]string{`replace command ""`}},
		{"an entrypoint that is sudo", map[string]any{"entrypoint": []any{"sudo", "-n"}, "args": []any{"-E", "x"}}, []string{`remove args[0] "-E"`}},
		{"an entrypoint that nobody knows", map[string]any{"entrypoint": []any{"/start"}, "command": "sudo", "args": []any{"-E", "x"}},
			[]string{`remove args[0] "-E"`}},
		{"an entrypoint that is a string", map[string]any{"entrypoint": "sudo", "command": "-E"}, []string{`remove command "-E"`}},
		{"the command's own", map[string]any{"command": "sudo", "args": []any{"ls", "-E"}}, nil},
		{"another command", map[string]any{"command": "sed", "args": []any{"-E", "s/a/b/"}}, nil},
		{"another command on sudo", map[string]any{"command": "which", "args": []any{"sudo", "-E"}}, nil},
		{"sudoedit", map[string]any{"command": "sudoedit", "args": []any{"-E"}}, nil},
		{"no args", map[string]any{"command": "sudo"}, nil},
		{"no config", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := check(t, load(t, noSudoEnv), newJob("j", &api.Task{Name: "t", Driver: "raw_exec", Config: c.config}))
			got := strings.ReplaceAll(strings.Join(edits(v), "\n"), `task["t"].config.`, "")
			if diff := cmp.Diff(strings.Join(c.want, "\n"), got); diff != "" {
				t.Errorf("edits (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSudoFinding(t *testing.T) {
	t.Parallel()
	s := load(t, noSudoEnv)
	v, diags := s.Check(policies.LiveSide, newJob("j", sudoTask("t", "-n", "--preserve-env=TOKEN", "x")), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	want := []policies.Finding{{
		Policy: "no-sudo-env", Rule: "sudo.preserve_env", Enforce: policies.Deny, Side: policies.LiveSide,
		Path:    job.Path{}.Block("group", "g").Block("task", "t").Attr("config").Elem("args", 1),
		Message: "sudo is asked to preserve the caller's environment (--preserve-env); without SETENV in sudoers it refuses to run the command (sudo-rs ignores -E): keep what is needed by env_keep in sudoers",
		Fix:     true,
	}}
	if diff := cmp.Diff(want, v.Findings, cmpopts.IgnoreFields(policies.Finding{}, "Edits")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	mended, err := job.Apply(newJob("j", sudoTask("t", "-n", "--preserve-env=TOKEN", "x")), v.Edits)
	if err != nil {
		t.Fatal(err)
	}
	if !job.Equal(mended, newJob("j", sudoTask("t", "-n", "x"))) {
		t.Errorf("mended: %v", mended.TaskGroups[0].Tasks[0].Config)
	}
}

// Two policies that want the same, and two places in one string, are no
// contradiction; what cannot be told stays a warning with the fixes made.
func TestSudoInScripts(t *testing.T) {
	t.Parallel()
	twins := noSudoEnv + strings.Replace(noSudoEnv, "no-sudo-env", "twin", 1)
	task := &api.Task{Name: "t", Driver: "raw_exec",
		Config: map[string]any{"command": "bash", "args": []any{"-c", "sudo -E a\nsudo -E a\nsudo $FLAGS b\n"}},
		Templates: []*api.Template{
			{DestPath: new("local/run"), Perms: new("755"), EmbeddedTmpl: new("sudo -nE {{ key \"a\" }} && sudo -E\"$1\" x")},
			{DestPath: new("local/notes"), EmbeddedTmpl: new("sudo -E")},
			{DestPath: new("local/run.sh"), EmbeddedTmpl: new("[[ x ]] sudo -E y"), LeftDelim: new("[["), RightDelim: new("]]")},
		},
	}
	v := check(t, load(t, twins), newJob("j", task))
	if v.Conflict != "" {
		t.Fatal(v.Conflict)
	}
	mended, err := job.Apply(newJob("j", task), v.Edits)
	if err != nil {
		t.Fatal(err)
	}
	got := mended.TaskGroups[0].Tasks[0]
	if diff := cmp.Diff("sudo a\nsudo a\nsudo $FLAGS b\n", got.Config["args"].([]any)[1]); diff != "" {
		t.Errorf("args (-want +got):\n%s", diff)
	}
	for i, want := range []string{"sudo -n {{ key \"a\" }} && sudo -E\"$1\" x", "sudo -E", "[[ x ]] sudo -E y"} {
		if diff := cmp.Diff(want, *got.Templates[i].EmbeddedTmpl); diff != "" {
			t.Errorf("template %d (-want +got):\n%s", i, diff)
		}
	}
	var told []string
	for _, f := range v.Findings {
		if f.Policy == "twin" {
			told = append(told, fmt.Sprintf("%s %s %v %s", f.Enforce, f.Rule, f.Fixable(), short(f.Path)))
		}
	}
	if diff := cmp.Diff([]string{
		`deny sudo.preserve_env true task["t"].config.args[1]`,
		`deny sudo.preserve_env true task["t"].config.args[1]`,
		`warn sudo.cannot_tell false task["t"].config.args[1]`,
		`deny sudo.preserve_env true task["t"].template[0].data`,
		`warn sudo.cannot_tell false task["t"].template[0].data`,
		`deny sudo.preserve_env false task["t"].template[0].data`,
		`warn sudo.cannot_tell false task["t"].template[0].data`,
		`warn sudo.cannot_tell false task["t"].template[2].data`,
	}, told); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	// One job; a case selects tasks of it, told by name.
	j := newJob("team/eu/web", sudoTask("main", "-E"), sudoTask("init", "-E"), sudoTask("side", "-E"), sudoTask("proxy", "-E"))
	j.Namespace, j.Type, j.Meta = new("prod"), new("service"), map[string]string{"tier": "prod-1"}
	tasks := j.TaskGroups[0].Tasks
	tasks[1].Lifecycle = &api.TaskLifecycle{Hook: "prestart"}
	tasks[2].Driver = "exec"
	tasks[3].Kind = "connect-proxy:web"
	all := "main init side"
	for _, c := range []struct{ match, want string }{
		{``, all},
		{`match {}`, all},
		{"match {\n job = [\"team/*\"]\n}", all},
		{"match {\n job = [\"x\", \"*/web\"]\n}", all},
		{"match {\n job = [\"team\"]\n}", ""},
		{"match {\n namespace = [\"p*\"]\n}", all},
		{"match {\n namespace = [\"default\"]\n}", ""},
		{"match {\n type = [\"service\"]\n}", all},
		{"match {\n type = [\"batch\", \"sys*\"]\n}", ""},
		{"match {\n meta = { tier = \"prod-*\" }\n}", all},
		{"match {\n meta = { tier = \"prod-*\", owner = \"*\" }\n}", ""},
		{"match {\n task = [\"*i*\"]\n}", all},
		{"match {\n task = [\"main\", \"s*\"]\n}", "main side"},
		{"match {\n driver = [\"exec\"]\n}", "side"},
		{"match {\n lifecycle = [\"main\"]\n}", "main side"},
		{"match {\n lifecycle = [\"pre*\"]\n}", "init"},
		{"match {\n when = job.priority >= 50\n}", all},
		{"match {\n when = job.priority > 50\n}", ""},
		{"match {\n when = startswith(job.id, \"team/\") && contains(keys(job.group), \"g\")\n}", all},
		{"match {\n job = [\"team/*\"]\n namespace = [\"prod\"]\n task = [\"main\"]\n driver = [\"exec\"]\n}", ""},
		{"match {\n job = [\"team/*\"]\n namespace = [\"prod\"]\n task = [\"main\"]\n driver = [\"raw*\"]\n}", "main"},
	} {
		s := load(t, "policy \"p\" {\n"+c.match+"\nsudo {\npreserve_env = false\n}\n}")
		var got []string
		for _, f := range check(t, s, j).Findings {
			got = append(got, f.Path[1].Key)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: selects %q, want %q", c.match, got, c.want)
		}
	}
}

// A job that leaves namespace and type to Nomad is in default, and a service.
func TestMatchDefaults(t *testing.T) {
	t.Parallel()
	s := load(t, `policy "p" {
		match {
			namespace = ["default"]
			type = ["service"]
		}
		sudo {
			preserve_env = false
		}
	}`)
	if v := check(t, s, newJob("j", sudoTask("t", "-E"))); len(v.Findings) != 1 {
		t.Errorf("findings: %v", v.Findings)
	}
}

func TestTerms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, policy, sudo string
		enforce            policies.Enforce
		fixable, denied    bool
	}{
		{"by default", "", "", policies.Deny, false, true},
		{"fixed", "fix = true", "", policies.Deny, true, false},
		{"warned", `enforce = "warn"`, "", policies.Warn, false, false},
		{"the block's own fix", "fix = true", "fix = false", policies.Deny, false, true},
		{"the block's own enforce", `enforce = "warn"`, `enforce = "deny"`, policies.Deny, false, true},
		{"one of them", "enforce = \"warn\"\nfix = true", `enforce = "deny"`, policies.Deny, true, false},
	} {
		s := load(t, "policy \"p\" {\n"+c.policy+"\nsudo {\npreserve_env = false\n"+c.sudo+"\n}\n}")
		v := check(t, s, newJob("j", sudoTask("t", "-E")))
		f := v.Findings[0]
		if f.Enforce != c.enforce || f.Fixable() != c.fixable || f.Denied() != c.denied {
			t.Errorf("%s: enforce %s, fixable %v, denied %v", c.name, f.Enforce, f.Fixable(), f.Denied())
		}
		if c.fixable != (len(v.Edits) == 1) {
			t.Errorf("%s: edits %v", c.name, v.Edits)
		}
	}
}

// envPolicy is one policy with one env attribute.
func envPolicy(name string, fix bool, body string) string {
	s := "policy \"" + name + "\" {\n"
	if fix {
		s += "fix = true\n"
	}
	return s + "env {\n" + body + "\n}\n}\n"
}

func TestMerging(t *testing.T) {
	t.Parallel()
	withEnv := func(env map[string]string) *api.Job {
		return newJob("j", &api.Task{Name: "app", Driver: "exec", Env: env})
	}
	for _, c := range []struct {
		name     string
		policies string
		job      *api.Job
		want     []string
		edits    []string
		conflict string
	}{
		{
			name:     "two policies ask for one edit",
			policies: envPolicy("a", true, `values = { K = "1" }`) + envPolicy("b", true, `defaults = { K = 1 }`),
			job:      withEnv(map[string]string{"X": "1"}),
			want: []string{
				`env.values (deny, fixable) task["app"].env.K: K is not set; it must be "1"`,
				`  set task["app"].env.K = "1"`,
				`env.defaults (deny, fixable) task["app"].env.K: K is not set; its default is "1"`,
				`  set task["app"].env.K = "1"`,
			},
			edits: []string{`set task["app"].env.K = "1"`},
		},
		{
			name:     "two policies want different values",
			policies: envPolicy("a", true, `values = { K = "1" }`) + envPolicy("b", true, `values = { K = "2" }`),
			job:      withEnv(map[string]string{"X": "1"}),
			want: []string{
				`env.values (deny, fixable) task["app"].env.K: K is not set; it must be "1"`,
				`  set task["app"].env.K = "1"`,
				`env.values (deny, fixable) task["app"].env.K: K is not set; it must be "2"`,
				`  set task["app"].env.K = "2"`,
			},
			conflict: `policies "a" and "b" want different values at group["g"].task["app"].env.K`,
		},
		{
			name:     "the value of one is what the other wants to change",
			policies: envPolicy("a", true, `values = { K = "1" }`) + envPolicy("b", true, `values = { K = "2" }`),
			job:      withEnv(map[string]string{"K": "1"}),
			want: []string{
				`env.values (deny, fixable) task["app"].env.K: K is "1"; it must be "2"`,
				`  set task["app"].env.K = "2"`,
			},
			conflict: `policies "a" and "b" want different values at group["g"].task["app"].env.K`,
		},
		{
			name:     "set by one, forbidden by the other",
			policies: envPolicy("a", true, `defaults = { K = "1" }`) + envPolicy("b", false, `forbidden = ["K"]`),
			job:      withEnv(map[string]string{"X": "1"}),
			want: []string{
				`env.defaults (deny, fixable) task["app"].env.K: K is not set; its default is "1"`,
				`  set task["app"].env.K = "1"`,
			},
			conflict: `policies "a" and "b" want different values at group["g"].task["app"].env.K`,
		},
		{
			name:     "one policy's fix breaks another's pattern",
			policies: envPolicy("a", false, `matching = { K = "^x" }`) + envPolicy("b", true, `values = { K = "1" }`),
			job:      withEnv(map[string]string{"K": "x"}),
			want: []string{
				`env.matching (deny) task["app"].env.K: K is "1", which does not match ^x (also after the other fixes)`,
				`env.values (deny, fixable) task["app"].env.K: K is "x"; it must be "1"`,
				`  set task["app"].env.K = "1"`,
			},
			edits: []string{`set task["app"].env.K = "1"`},
		},
		{
			name:     "one policy's fix mends another's finding",
			policies: envPolicy("a", false, `required = ["K"]`) + envPolicy("b", true, `values = { K = "1" }`),
			job:      withEnv(map[string]string{"X": "1"}),
			want: []string{
				`env.required (deny, fixable) task["app"].env.K: K is not set; it is required, and only a person can know its value`,
				`  set task["app"].env.K = "1"`,
				`env.values (deny, fixable) task["app"].env.K: K is not set; it must be "1"`,
				`  set task["app"].env.K = "1"`,
			},
			edits: []string{`set task["app"].env.K = "1"`},
		},
		{
			name:     "a value that is never the same twice",
			policies: envPolicy("a", true, `values = { K = uuidv4(), L = "1" }`),
			job:      withEnv(map[string]string{"K": "x"}),
			want: []string{
				`env.values (deny, fixable) task["app"].env.L: L is not set; it must be "1"`,
				`  set task["app"].env.L = "1"`,
				`env.values (deny) task["app"].env.K: K is "x"; it must be UUID (its fix does not mend it)`,
			},
			edits: []string{`set task["app"].env.L = "1"`},
		},
		{
			name:     "equal elements of a list are told apart",
			policies: noSudoEnv,
			job:      newJob("j", sudoTask("app", "-E", "-n", "-E", "echo", "-E")),
			want: []string{
				`sudo.preserve_env (deny, fixable) task["app"].config.args[0]: ` + sudoMessage,
				`  remove task["app"].config.args[0] "-E"`,
				`sudo.preserve_env (deny, fixable) task["app"].config.args[2]: ` + sudoMessage,
				`  remove task["app"].config.args[2] "-E"`,
			},
			edits: []string{`remove task["app"].config.args[2] "-E"`, `remove task["app"].config.args[0] "-E"`},
		},
		{
			name:     "one policy only watches what another mends",
			policies: noSudoEnv + strings.NewReplacer("no-sudo-env", "watch", "fix = true", "").Replace(noSudoEnv),
			job:      newJob("j", sudoTask("app", "-E", "x")),
			want: []string{
				`sudo.preserve_env (deny, fixable) task["app"].config.args[0]: ` + sudoMessage,
				`  remove task["app"].config.args[0] "-E"`,
				`sudo.preserve_env (deny, fixable) task["app"].config.args[0]: ` + sudoMessage,
				`  remove task["app"].config.args[0] "-E"`,
			},
			edits: []string{`remove task["app"].config.args[0] "-E"`},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := check(t, load(t, c.policies), c.job)
			got := lines(v.Findings)
			for i := range got {
				got[i] = uuidPattern.ReplaceAllString(got[i], "UUID")
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.edits, edits(v)); diff != "" {
				t.Errorf("edits (-want +got):\n%s", diff)
			}
			if v.Conflict != c.conflict {
				t.Errorf("conflict %q, want %q", v.Conflict, c.conflict)
			}
		})
	}
}

// TestSecondCheckIsClean: what Check would mend, it does not find in the result.
func TestSecondCheckIsClean(t *testing.T) {
	t.Parallel()
	s := load(t, noSudoEnv+envPolicy("env", true, `
		block = "required"
		defaults = { A = "a" }
		values = { B = job.id }
		forbidden = ["C*"]`))
	task := sudoTask("one", "-nE", "--preserve-env", "x")
	task.Env = map[string]string{"C1": "1", "C2": "2", "B": "no"}
	j := newJob("j", task, sudoTask("two", "-E"))
	v := check(t, s, j)
	mended, err := job.Apply(j, v.Edits)
	if err != nil {
		t.Fatal(err)
	}
	if again := check(t, s, mended); len(again.Findings) > 0 || len(again.Edits) > 0 {
		t.Errorf("still found: %q", lines(again.Findings))
	}
	for range 20 {
		if diff := cmp.Diff(lines(v.Findings), lines(check(t, s, j).Findings)); diff != "" {
			t.Fatalf("another order:\n%s", diff)
		}
	}
}

func TestRollout(t *testing.T) {
	t.Parallel()
	s := load(t, `
rollout "web" {
  match {
    job = ["web"]
  }
  strategy   = "restart"
  deadline   = "11m"
  on_failure = "keep"
  gate "logs" "early" {
    when = "before"
  }
  gate "logs" "late" {
    task = "app"
  }
}
rollout "other" {
  match {
    job = ["other"]
  }
}
rollout "prod" {
  match {
    meta = { tier = "prod" }
  }
}
`)
	web := newJob("web", &api.Task{Name: "app"})
	ignoreRange := cmpopts.IgnoreFields(policies.Gate{}, "Range")
	want := policies.Rollout{
		Name: "web", Strategy: policies.Restart, Deadline: 11 * time.Minute, OnFailure: policies.Keep,
		Gates: []policies.Gate{
			{Kind: "logs", Name: "early", Before: true, Spec: logsSpec{}},
			{Kind: "logs", Name: "late", Spec: logsSpec{Task: "app"}},
		},
	}
	if diff := cmp.Diff(want, check(t, s, web).Rollout, ignoreRange); diff != "" {
		t.Errorf("web (-want +got):\n%s", diff)
	}
	want = policies.Rollout{Name: "other", Strategy: policies.Update, OnFailure: policies.Rollback}
	if diff := cmp.Diff(want, check(t, s, newJob("other")).Rollout); diff != "" {
		t.Errorf("other (-want +got):\n%s", diff)
	}
	want.Name = ""
	if diff := cmp.Diff(want, check(t, s, newJob("none")).Rollout); diff != "" {
		t.Errorf("none (-want +got):\n%s", diff)
	}

	web.Meta = map[string]string{"tier": "prod"}
	if got, want := check(t, s, web).Conflict, `rollouts "web" and "prod" both match this job; narrow the match of one of them`; got != want {
		t.Errorf("conflict %q, want %q", got, want)
	}
}

func TestGateAgainstJob(t *testing.T) {
	t.Parallel()
	s := load(t, "rollout \"r\" {\n  gate \"logs\" \"l\" {\n    task = \"nope\"\n  }\n}\n")
	_, diags := s.Check(policies.FileSide, newJob("j", sudoTask("t")), nil)
	want := []string{"test.policy.hcl:2,3-18: No such task; The job has no task nope."}
	if diff := cmp.Diff(want, texts(diags)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The live job may get the task with this very run.
	if _, diags := s.Check(policies.LiveSide, newJob("j", sudoTask("t")), nil); diags.HasErrors() {
		t.Error(diags)
	}
}

// TestEvaluationErrors: what cannot be evaluated is an error at its place.
func TestEvaluationErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ src, want string }{
		{envPolicy("p", true, `values = { K = job.meta.prioriti }`),
			`test.policy.hcl:4,24-33: Unsupported attribute; This object does not have an attribute named "prioriti".`},
		{envPolicy("p", true, `values = { K = task.meta.owner }`),
			`test.policy.hcl:4,25-31: Unsupported attribute; This object does not have an attribute named "owner".`},
		{envPolicy("p", true, `values = { K = job.meta.region ? 1 : 2 }`),
			`test.policy.hcl:4,24-31: Unsupported attribute; This object does not have an attribute named "region".`},
		{envPolicy("p", true, `defaults = { K = live == null ? null : 1 }`),
			`test.policy.hcl:4,18-41: Wrong type; K must be a string, not null.`},
		{envPolicy("p", true, `values = { K = [1] }`),
			`test.policy.hcl:4,16-19: Wrong type; K must be a string, not a list.`},
		{"policy \"p\" {\nmatch {\nwhen = job.id\n}\nenv {\n}\n}",
			`test.policy.hcl:3,8-14: Wrong type; when must be a bool, not a string.`},
	} {
		_, diags := load(t, c.src).Check(policies.FileSide, newJob("j", &api.Task{Name: "t", Driver: "exec"}), nil)
		if diff := cmp.Diff([]string{c.want}, texts(diags)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.src, diff)
		}
	}
}

// TestImpossibleFix: two tasks of one name cannot be told apart, so the edit of
// the second finds the first.
func TestImpossibleFix(t *testing.T) {
	t.Parallel()
	v, diags := load(t, noSudoEnv).Check(policies.FileSide, newJob("j", sudoTask("t"), sudoTask("t", "-E")), nil)
	if len(diags) != 1 || diags[0].Summary != "A fix cannot be made" {
		t.Errorf("diagnostics %q", texts(diags))
	}
	if len(v.Findings) != 1 || len(v.Edits) != 0 {
		t.Errorf("verdict %+v", v)
	}
}

func TestConcurrentChecks(t *testing.T) {
	t.Parallel()
	s := load(t, noSudoEnv+envPolicy("env", true, `values = { A = job.id, B = upper(task.name) }`))
	j := newJob("j", sudoTask("t", "-E"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if v := check(t, s, j); len(v.Edits) != 3 {
				t.Errorf("edits %q", edits(v))
			}
		})
	}
	wg.Wait()
}

func TestLiveInExpressions(t *testing.T) {
	t.Parallel()
	s := load(t, envPolicy("p", true, `values = { K = live == null ? "none" : live.priority }`))
	v, diags := s.Check(policies.FileSide, newJob("j", &api.Task{Name: "t"}), newJob("j"))
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if got := edits(v); len(got) != 1 || got[0] != `set task["t"].env.K = "50"` {
		t.Errorf("edits %q", got)
	}
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	for _, expr := range []string{
		`matches("^a", "abc")`, `!matches("^b", "abc")`, `startswith("abc", "ab")`, `!startswith("abc", "bc")`,
		`endswith("abc", "bc")`, `!endswith("abc", "ab")`, `anytrue([false, true])`, `!anytrue([])`,
		`alltrue([true, true])`, `alltrue([])`, `!alltrue([true, false])`, `entropy("") == 0`, `entropy("aaaa") == 0`,
		`entropy("abcd") == 2`, `seconds("1m30s") == 90`, `seconds("500ms") == 0.5`, `!can(seconds("soon"))`, `try(job.meta.nope, "x") == "x"`, `!can(job.meta.nope)`, `upper("a") == "A"`,
		`convert("1", number) == 1`, `length(convert(["a"], list(string))) == 1`, `sha256("") != ""`,
		`anytrue([for g in job.group : g.name == "g"])`, `cidrhost("10.0.0.0/8", 1) == "10.0.0.1"`,
		`yamldecode("a: 1").a == 1`, `regex_replace("abc", "b", "x") == "axc"`,
	} {
		s := load(t, "policy \"p\" {\nmatch {\nwhen = "+expr+"\n}\nsudo {\npreserve_env = false\n}\n}")
		if v := check(t, s, newJob("j", sudoTask("t", "-E"))); len(v.Findings) != 1 {
			t.Errorf("%s does not hold", expr)
		}
	}
}

// texts renders diagnostics as FILE:LINE,COLUMNS: SUMMARY; DETAIL.
func texts(diags hcl.Diagnostics) []string {
	var out []string
	for _, d := range diags {
		s := d.Summary + "; " + d.Detail
		if d.Severity == hcl.DiagWarning {
			s = "warning: " + s
		}
		if d.Subject != nil {
			s = d.Subject.String() + ": " + s
		}
		out = append(out, s)
	}
	return out
}

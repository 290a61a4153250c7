package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

const ignoring = sudoPolicy + `
rollout "web" {
  ignore = [group["*"].count, group["web"].task["*"].env.LOG_LEVEL, meta, group["gone"].count]
}
`

// changed registers the live job with some of it set by somebody else.
func (w *world) changed() {
	w.t.Helper()
	live := w.live()
	by := job.Clone(live.Job)
	by.TaskGroups[0].Count = new(2)
	by.TaskGroups[0].Tasks[0].Env["LOG_LEVEL"] = "debug"
	by.Meta = map[string]string{"build": "77"}
	w.register(by, live.Submission)
}

// What a rollout ignores is no drift, and a register leaves it alone.
func TestIgnore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ignoring)
	w.edit(`"-E", `, "")
	w.run()
	w.changed()
	w.policy = strings.Replace(w.policy, `ignore = [`, `ignore = [group["*"].task["*"].resources.cpu, `, 1) // nobody has set it
	p := w.plan()
	if p.Condition != reconcile.InSync || len(p.LiveDiff) > 0 || p.Does() {
		t.Errorf("%s %s %v", p.Condition, p.Reason, p.LiveDiff)
	}
	want := `rollout "web" ignores what differs at group["web"].count, group["web"].task["web"].env.LOG_LEVEL, meta`
	if !slices.Contains(p.Notes, want) {
		t.Errorf("notes %q, want %q", p.Notes, want)
	}
	w.edit(`"one"`, `"two"`)
	w.sync.Drift = reconcile.Correct
	p = w.plan()
	if len(p.LiveDiff) != 1 || !strings.HasSuffix(p.LiveDiff[0].Path.String(), "config.args") {
		t.Errorf("%v", p.LiveDiff)
	}
	if !slices.Equal(p.Updates, []string{`group "web": 1 to replace`}) {
		t.Errorf("%q", p.Updates)
	}
	if run := w.apply(); run.Result != history.Converged {
		t.Fatalf("%+v", run)
	}
	live := w.live().Job
	if got := args(live); got != "script two" {
		t.Errorf("args %q", got)
	}
	if *live.TaskGroups[0].Count != 2 || live.TaskGroups[0].Tasks[0].Env["LOG_LEVEL"] != "debug" || live.Meta["build"] != "77" {
		t.Errorf("not kept: %d %v %v", *live.TaskGroups[0].Count, live.TaskGroups[0].Tasks[0].Env, live.Meta)
	}
	if p := w.plan(); p.Condition != reconcile.InSync {
		t.Errorf("afterwards %s %s %v", p.Condition, p.Reason, p.LiveDiff)
	}
}

// A fix is registered over the live job's own source: that it evaluates to something
// else at an ignored place makes it no other job's.
func TestIgnoreAndFix(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Replace(ignoring, sudoPolicy, `policy "flag" {
  fix = true
  env {
    values = { FLAG = "on" }
  }
}
`, 1))
	w.edit(`"-E", `, "")
	w.run()
	w.changed()
	w.edit(`"one"`, `"two"`) // an edit that nobody has deployed
	p := w.plan()
	if !p.Does() || p.Condition != reconcile.OutOfSync {
		t.Fatalf("%s %s", p.Condition, p.Reason)
	}
	if run := w.apply(); run.Result != history.Converged {
		t.Fatalf("%+v", run)
	}
	live := w.live()
	if live.Submission.Format != "hcl2" || !strings.Contains(live.Submission.Source, "FLAG") || !strings.Contains(live.Submission.Source, `"one"`) {
		t.Errorf("submission %s:\n%s", live.Submission.Format, live.Submission.Source)
	}
	if env := live.Job.TaskGroups[0].Tasks[0].Env; env["FLAG"] != "on" || env["LOG_LEVEL"] != "debug" || args(live.Job) != "script one" {
		t.Errorf("%v %s", env, args(live.Job))
	}
}

// The count of a group that scales is the autoscaler's; Nomad's parse of the file
// says another one, and that is no difference.
func TestScaledCountAndTheServersParse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.edit("    restart {", "    scaling {\n      enabled = true\n      min     = 1\n      max     = 3\n    }\n\n    restart {")
	w.edit(`"-E", `, "")
	w.run()
	live := w.live()
	scaled := job.Clone(live.Job)
	scaled.TaskGroups[0].Count = new(2)
	w.register(scaled, live.Submission)
	w.edit(`"one"`, `"two"`)
	w.sync.Drift = reconcile.Correct
	if run := w.apply(); run.Result != history.Converged {
		t.Fatalf("%+v", run)
	}
	if got := w.live().Job; *got.TaskGroups[0].Count != 2 || args(got) != "script two" {
		t.Errorf("count %d, args %s", *got.TaskGroups[0].Count, args(got))
	}
}

package reconcile_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// planned is a saved plan that edits and registers web.
func planned() reconcile.Saved {
	spec := func(priority int) *api.Job {
		return &api.Job{ID: new("web"), Name: new("web"), Priority: &priority, Version: new(uint64(3))}
	}
	return reconcile.Saved{
		Asked:    reconcile.Asked{Nomad: "http://one"},
		Policies: map[string]string{"a.policy.hcl": "1", "b.policy.hcl": "2"},
		Jobs: []reconcile.SavedJob{{
			ID: webID, File: "jobs/web.hcl", Condition: reconcile.OutOfSync,
			Basis:   history.Basis{File: "f", Vars: "v", Policies: "p", JobModifyIndex: 38},
			Actions: []reconcile.Action{reconcile.EditFile, reconcile.Register},
			Bytes:   []byte("old\n"), Variables: map[string]any{"region": "eu", "n": 1.0}, Live: spec(50),
			Next: history.Next{Bytes: []byte("new\n"), Job: spec(60), Submission: &api.JobSubmission{Source: "new\n"}},
		}},
	}
}

// A job that a source "nomad" names has no file whose name could be told.
func TestAgainstWithoutFile(t *testing.T) {
	t.Parallel()
	then := planned()
	then.Jobs[0].File = ""
	for want, change := range map[string]func(*reconcile.Saved){
		"the source that Nomad keeps changed":                                        func(now *reconcile.Saved) { now.Jobs[0].Basis.File = "g" },
		"it is in jobs/web.hcl now":                                                  func(now *reconcile.Saved) { now.Jobs[0].File = "jobs/web.hcl" },
		`it is gone: no source "nomad" names it any more, or Nomad does not know it`: func(now *reconcile.Saved) { now.Jobs = nil },
	} {
		now := planned()
		now.Jobs[0].File = ""
		change(&now)
		stale := then.Against(now)
		if len(stale.Jobs) != 1 || stale.Jobs[0].Reason != want {
			t.Errorf("%+v, want %q", stale.Jobs, want)
		}
	}
}

func TestAgainst(t *testing.T) {
	t.Parallel()
	idle := func(id string) reconcile.SavedJob {
		return reconcile.SavedJob{ID: job.ID{Namespace: "default", Name: id}, Condition: reconcile.InSync, Basis: history.Basis{File: "x"}}
	}
	tests := map[string]struct {
		change func(web *reconcile.SavedJob, now *reconcile.Saved)
		moved  string // parts
		reason string
		also   func(reconcile.StaleJob, reconcile.Stale) string // what else is to be seen
		want   string
	}{
		"nothing": {change: func(*reconcile.SavedJob, *reconcile.Saved) {}},
		"file": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) { web.Basis.File, web.Bytes = "g", []byte("edited\n") },
			moved:  "file", reason: "jobs/web.hcl changed",
			also: func(j reconcile.StaleJob, _ reconcile.Stale) string { return j.FileDiff },
			want: "--- a/jobs/web.hcl\n+++ b/jobs/web.hcl\n@@ -1 +1 @@\n-old\n+edited\n",
		},
		"file renamed": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) { web.File = "jobs/www.hcl" },
			moved:  "file", reason: "it is in jobs/www.hcl now, not in jobs/web.hcl",
		},
		"file gone, and its job is an orphan": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) {
				web.File, web.Bytes, web.Actions = "", nil, nil
				web.Basis.File, web.Basis.Vars, web.Condition, web.Reason = "", "", reconcile.Orphan, "its job file is gone"
			},
			moved: "file", reason: "jobs/web.hcl is gone; now nothing would be done to it: it is orphan, its job file is gone",
		},
		"two files": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) {
				*web = reconcile.SavedJob{ID: webID, File: "jobs/a.hcl", Condition: reconcile.Held, Reason: "two files, one job: jobs/a.hcl, jobs/web.hcl"}
			},
			moved: "file", reason: "nothing would be done to it: it is held, two files, one job: jobs/a.hcl, jobs/web.hcl",
		},
		"no file at all": {
			change: func(_ *reconcile.SavedJob, now *reconcile.Saved) { now.Jobs = nil },
			moved:  "file", reason: "it is gone: no job file declares it any more",
		},
		"variables": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) {
				web.Basis.Vars, web.Variables = "w", map[string]any{"region": "us", "n": 1.0, "new": true}
			},
			moved: "variables", reason: "values of variables changed",
			also: func(j reconcile.StaleJob, _ reconcile.Stale) string { return fmt.Sprint(j.Variables) },
			want: "[{new <nil> true} {region eu us}]",
		},
		"policies": {
			change: func(web *reconcile.SavedJob, now *reconcile.Saved) {
				web.Basis.Policies, now.Policies = "q", map[string]string{"b.policy.hcl": "3", "c.policy.hcl": "4"}
			},
			moved: "policies", reason: "the policies changed",
			also: func(_ reconcile.StaleJob, s reconcile.Stale) string { return strings.Join(s.Policies, ", ") },
			want: "- a.policy.hcl, ~ b.policy.hcl, + c.policy.hcl",
		},
		"live job": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) {
				web.Basis.JobModifyIndex, web.Live = 41, &api.Job{ID: new("web"), Name: new("web"), Priority: new(70), Version: new(uint64(5)), Stop: new(true)}
			},
			moved: "live job", reason: "the live job went from version 3 to 5 and was stopped",
			also: func(j reconcile.StaleJob, _ reconcile.Stale) string { return paths(j.LiveDiff) }, want: "priority",
		},
		"live job written again": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) { web.Basis.JobModifyIndex = 41 },
			moved:  "live job", reason: "the live job was written again (index 38, now 41)",
		},
		"live job gone": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) { web.Basis.JobModifyIndex, web.Live = 0, nil },
			moved:  "live job", reason: "the live job is gone from Nomad",
		},
		"all": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) {
				web.Basis = history.Basis{File: "g", Vars: "w", Policies: "q", JobModifyIndex: 41}
				web.Actions, web.Condition = nil, reconcile.InSync
			},
			moved:  "file, variables, policies, live job",
			reason: "jobs/web.hcl changed; values of variables changed; the policies changed; the live job was written again (index 38, now 41); now nothing would be done to it: it is in sync",
		},
		"other actions": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) { web.Actions = web.Actions[:1] },
			moved:  "plan", reason: "file, variables, policies and live job are as they were, but something else would be done; now edit",
		},
		"another spec, as of a file with uuidv4()": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) {
				web.Next.Job = &api.Job{ID: new("web"), Name: new("web"), Priority: new(61), Version: new(uint64(3))}
			},
			moved: "plan", reason: "file, variables, policies and live job are as they were, but something else would be done",
			also: func(j reconcile.StaleJob, _ reconcile.Stale) string { return paths(j.LiveDiff) }, want: "priority",
		},
		"other bytes": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) { web.Next.Bytes = []byte("newer\n") },
			moved:  "plan", reason: "file, variables, policies and live job are as they were, but something else would be done",
			also: func(j reconcile.StaleJob, _ reconcile.Stale) string { return j.FileDiff },
			want: "--- a/jobs/web.hcl\n+++ b/jobs/web.hcl\n@@ -1 +1 @@\n-new\n+newer\n",
		},
		"another submission": {
			change: func(web *reconcile.SavedJob, _ *reconcile.Saved) { web.Next.Submission = nil },
			moved:  "plan", reason: "file, variables, policies and live job are as they were, but something else would be done",
		},
		"one that neither would change": {
			change: func(_ *reconcile.SavedJob, now *reconcile.Saved) { now.Jobs = append(now.Jobs, idle("quiet")) },
		},
		"one more that would be changed": {
			change: func(_ *reconcile.SavedJob, now *reconcile.Saved) {
				more := idle("api")
				more.Actions = []reconcile.Action{reconcile.Register}
				now.Jobs = append(now.Jobs, more)
			},
			moved: "plan", reason: "it would be changed now, which the plan does not say: register",
		},
		"another Nomad": {
			change: func(_ *reconcile.SavedJob, now *reconcile.Saved) { now.Asked.Nomad = "http://two" },
			also:   func(_ reconcile.StaleJob, s reconcile.Stale) string { return s.Nomad }, want: "http://two",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := planned()
			tt.change(&now.Jobs[0], &now)
			stale := planned().Against(now)
			if any := tt.moved != "" || tt.want != ""; stale.Any() != any {
				t.Fatalf("Any is %t: %+v", stale.Any(), stale)
			}
			var one reconcile.StaleJob
			if tt.moved != "" {
				if len(stale.Jobs) != 1 {
					t.Fatalf("%d jobs moved, want 1: %+v", len(stale.Jobs), stale.Jobs)
				}
				one = stale.Jobs[0]
			}
			if d := cmp.Diff([]string{tt.moved, tt.reason}, []string{joined(one.Moved), one.Reason}); d != "" {
				t.Error(d)
			}
			if tt.also != nil {
				if d := cmp.Diff(tt.want, tt.also(one, stale)); d != "" {
					t.Error(d)
				}
			}
		})
	}
}

func paths(ds []job.Difference) string {
	var out []string
	for _, d := range ds {
		out = append(out, d.Path.String())
	}
	return strings.Join(out, ", ")
}

func joined(parts []reconcile.Part) string {
	var out []string
	for _, p := range parts {
		out = append(out, string(p))
	}
	return strings.Join(out, ", ")
}

// enclose is the file of a plan with a checksum that fits.
func enclose(plan []byte) []byte {
	sum := sha256.Sum256(plan)
	return fmt.Appendf(nil, `{"reconcile_plan":1,"sha256":"%s","plan":%s}`, hex.EncodeToString(sum[:]), plan)
}

func TestLoadSaved(t *testing.T) {
	t.Parallel()
	plan, err := json.Marshal(planned())
	if err != nil {
		t.Fatal(err)
	}
	good := string(enclose(plan))
	if s, err := reconcile.LoadSaved([]byte(good)); err != nil || planned().Against(s).Any() {
		t.Fatalf("a good plan: %v", err)
	}
	for name, tt := range map[string]struct{ data, want string }{
		"empty":           {"", "it is empty"},
		"blank":           {" \n", "it is empty"},
		"a job file":      {"job \"web\" {}\n", "it is no saved plan"},
		"other JSON":      {`{"runs":[]}`, "it is no saved plan"},
		"a list":          {`[]`, "it is no saved plan"},
		"cut short":       {good[:len(good)/2], "it was cut short or edited: it is not whole JSON"},
		"something added": {good + "x", "it was cut short or edited: it is not whole JSON"},
		"edited":          {strings.Replace(good, "jobs/web.hcl", "jobs/www.hcl", 1), "it was edited or damaged: its checksum does not fit"},
		"another format":  {strings.Replace(good, `plan":1`, `plan":7`, 1), "it was saved by another version of reconcile: its format is 7, and this one reads 1"},
		"no plan":         {`{"reconcile_plan":1}`, "it was edited or damaged: its checksum does not fit"},
		"made up":         {string(enclose([]byte(`{"jobs":7}`))), "it is no plan: json: cannot unmarshal number into Go struct field Saved.jobs of type []reconcile.SavedJob"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := reconcile.LoadSaved([]byte(tt.data))
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// What is saved, loaded and asked again is the same, until something moves.
func TestSavedPlanOfARealJobFitsUntilItMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sudoPolicy)
	w.run()
	save := func(whole bool) reconcile.Saved {
		t.Helper()
		p := w.planner()
		p.Whole = whole
		result, err := p.Plan(w.ctx(), reconcile.Selection{}, w.sync)
		if err != nil {
			t.Fatal(err)
		}
		data, err := reconcile.Save(reconcile.Asked{}, []policies.Source{{Name: "test.policy.hcl", Bytes: []byte(w.policy)}}, result.Plans)
		if err != nil {
			t.Fatal(err)
		}
		s, err := reconcile.LoadSaved(data)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	then := save(false)
	if len(then.Jobs) != 1 || string(then.Jobs[0].Bytes) != w.read() || then.Jobs[0].Live == nil || then.Jobs[0].Next.Job == nil {
		t.Fatalf("saved: %+v", then.Jobs)
	}
	if stale := then.Against(save(true)); stale.Any() {
		t.Fatalf("nothing moved: %+v", stale)
	}
	if run := w.apply(); run.Result != history.Converged {
		t.Fatalf("%s: %s", run.Result, run.Reason)
	}
	if got := save(false); len(got.Jobs) != 0 {
		t.Errorf("in sync, and yet saved: %+v", got.Jobs)
	}
	stale := then.Against(save(true))
	if len(stale.Jobs) != 1 || joined(stale.Jobs[0].Moved) != "file, live job" {
		t.Errorf("after the run: %+v", stale.Jobs)
	}
	if err := os.Remove(filepath.Join(w.dir, "jobs", "web.hcl")); err != nil {
		t.Fatal(err)
	}
	if stale = then.Against(save(true)); len(stale.Jobs) != 1 || !strings.Contains(stale.Jobs[0].Reason, "jobs/web.hcl is gone") {
		t.Errorf("after the file went: %+v", stale.Jobs)
	}
}

// Whatever is in the file: an error or a plan, never a panic; also where somebody
// made its checksum fit, and it is held against a real one.
func FuzzLoadSaved(f *testing.F) {
	plan, err := json.Marshal(planned())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(plan), string(enclose(plan)), "", "{", `{"reconcile_plan":1,"sha256":"","plan":null}`, `{"jobs":[{"live":{"TaskGroups":[null]}}]}`,
		`{"jobs":[{"id":{"Namespace":"default","Name":"web"},"actions":["edit"],"live":{"TaskGroups":[{"Tasks":[null]},null]},"next":{"Job":{"Constraints":[null]}}}]}`,
		`{"jobs":[{"id":{"Namespace":"default","Name":"web"},"basis":{"file":"f","vars":"v","policies":"p","job_modify_index":38},"actions":["edit"],"next":{"Job":{"TaskGroups":[{"Tasks":[null]},null]}}}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, file := range [][]byte{data, enclose(data)} {
			s, err := reconcile.LoadSaved(file)
			if err != nil {
				continue
			}
			s.Against(planned())
			planned().Against(s)
			if stale := s.Against(s); stale.Nomad != "" {
				t.Errorf("a plan differs from itself: %+v", stale)
			}
		}
	})
}

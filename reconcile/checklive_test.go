package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/source"
)

// registered is a Nomad that can only be asked for its jobs.
type registered struct {
	reconcile.Nomad
	jobs []*api.Job
	gone string // listed, and not there any more
	err  error
}

func (r registered) Jobs(_ context.Context, namespaces []string) ([]*api.JobListStub, error) {
	var out []*api.JobListStub
	for _, j := range r.jobs {
		if slices.Contains(namespaces, *j.Namespace) {
			out = append(out, &api.JobListStub{ID: *j.ID, Namespace: *j.Namespace, ParentID: *j.ParentID})
		}
	}
	return append(out, &api.JobListStub{ID: r.gone, Namespace: "default"}), nil
}

func (r registered) Job(_ context.Context, id job.ID) (*api.Job, error) {
	for _, j := range r.jobs {
		if job.IDOf(j) == id {
			return j, r.err
		}
	}
	return nil, fmt.Errorf("%s: %w", id, nomad.ErrNotFound)
}

func liveJob(ns, name, parent string, args ...any) *api.Job {
	task := &api.Task{Name: "t", Driver: "raw_exec", Config: map[string]any{"command": "sudo", "args": args}}
	return &api.Job{ID: &name, Name: &name, Namespace: &ns, ParentID: &parent, Type: new("service"), Priority: new(50),
		TaskGroups: []*api.TaskGroup{{Name: new("g"), Count: new(1), Tasks: []*api.Task{task}}}}
}

const livePolicies = `policy "mended" {
  fix = true
  match {
    job = ["fix*", "bad"]
  }
  sudo {
    preserve_env = false
  }
}

policy "denied" {
  match {
    job = ["deny"]
  }
  sudo {
    preserve_env = false
  }
}

policy "wrong" {
  match {
    job = ["wrong"]
  }
  rule "r" {
    assert = task.config.nothing == 1
  }
}

policy "nobody" {
  match {
    job = ["nobody"]
  }
  sudo {
    preserve_env = false
  }
}
`

func set(t *testing.T, text string) *policies.Set {
	t.Helper()
	out, diags := policies.Load([]policies.Source{{Name: "p.policy.hcl", Bytes: []byte(text)}}, policies.Options{})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return out
}

// Every job of the namespaces that is no child is held against the policies; what
// went away meanwhile is not told of.
func TestCheckLive(t *testing.T) {
	t.Parallel()
	n := registered{gone: "gone", jobs: []*api.Job{
		liveJob("default", "wrong", "", "-n"), liveJob("default", "fix", "", "-E"), liveJob("default", "deny", "", "-E"), liveJob("default", "fine", ""),
		liveJob("default", "fix/periodic-1", "fix", "-E"), liveJob("prod", "fix", "", "-E"), liveJob("other", "fix", "", "-E"),
	}}
	p := &reconcile.Planner{Nomad: n, Policies: set(t, livePolicies), Namespaces: []string{"default", "prod"}, Concurrency: 3}
	tell := func(sel reconcile.Selection) (out []string, unmatched []string) {
		r, err := p.CheckLive(t.Context(), sel)
		if err != nil {
			t.Fatal(err)
		}
		for _, plan := range r.Plans {
			out = append(out, fmt.Sprintf("%s %s %d", plan.ID, plan.Condition, len(plan.Findings)))
			if (plan.Hold != nil) != (plan.Condition == reconcile.Held) || plan.Does() {
				t.Errorf("%+v", plan)
			}
		}
		for _, u := range r.Unmatched {
			unmatched = append(unmatched, u.Name)
		}
		return out, unmatched
	}
	got, unmatched := tell(reconcile.Selection{})
	want := []string{"deny denied 1", "fine in_sync 0", "fix out_of_sync 1", "wrong held 0", "fix@prod out_of_sync 1"}
	if d := cmp.Diff(want, got); d != "" || unmatched != nil {
		t.Errorf("%s%v; of a job that is held nobody knows what matches it", d, unmatched)
	}
	if got, unmatched := tell(reconcile.Selection{Jobs: []string{"fix@prod", "nobody"}}); !slices.Equal(got, want[4:]) || unmatched != nil {
		t.Errorf("selected: %v, unmatched %v", got, unmatched)
	}
	n.jobs = n.jobs[1:]
	p.Nomad = n
	if _, unmatched := tell(reconcile.Selection{}); !slices.Equal(unmatched, []string{"wrong", "nobody"}) {
		t.Errorf("unmatched: %v", unmatched)
	}
	n.err = errors.New("broken")
	p.Nomad = n
	if _, err := p.CheckLive(t.Context(), reconcile.Selection{}); !errors.Is(err, n.err) {
		t.Errorf("a Nomad that does not answer: %v", err)
	}
}

// A source may be one text that is no file.
func TestPlanText(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(webJob, "SCRIPT", "x")
	doc := &source.Document{Name: "<stdin>", Path: t.TempDir() + "/<stdin>", Bytes: []byte(text)}
	p := &reconcile.Planner{Policies: set(t, sudoPolicy), Sources: []reconcile.Source{{Directory: source.Directory{Path: t.TempDir()}, Text: doc}}}
	r, err := p.Plan(t.Context(), reconcile.Selection{}, reconcile.Sync{Fix: true})
	if err != nil || len(r.Plans) != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	if got, want := string(r.Plans[0].After()), strings.Replace(text, `"-E", `, "", 1); got != want || r.Plans[0].File != "<stdin>" {
		t.Errorf("%s: %s", r.Plans[0].File, cmp.Diff(want, got))
	}
	p.ReadOnly = true
	if r, _ = p.Plan(t.Context(), reconcile.Selection{}, reconcile.Sync{Fix: true}); r.Plans[0].After() != nil {
		t.Error("a plan that is to be shown alone keeps the text")
	}
}

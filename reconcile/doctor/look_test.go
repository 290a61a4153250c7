package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/doctor"
	"nomad-reconcile/reconcile/gates"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
	"nomad-reconcile/state/source"
)

const webJob = `job "web" {
  update {
    min_healthy_time  = "10ms"
    healthy_deadline  = "5s"
    progress_deadline = "6s"
  }
  group "web" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "web" {
      driver       = "raw_exec"
      kill_timeout = "1s"
      config {
        command = "sudo"
        args    = ["-E", "sleep", "600"]
      }
      env {
        A = "1"
      }
    }
  }
}
`

const webPolicy = `policy "sudo" {
  fix = true
  sudo {
    preserve_env = false
  }
}
rollout "web" {
  match {
    job = ["web"]
  }
  gate "sudoers" "start" {
    user    = "app"
    command = "/bin/sleep 600"
  }
  gate "job" "web" {}
  gate "command" "netns" {
    command = ["/bin/sh", "-c", "exit 1"]
  }
}
`

// ward is a folder with one job file, its policy, a Nomad and a doctor.
type ward struct {
	t      *testing.T
	server *nomadtest.Server
	client *nomad.Client
	doctor *doctor.Doctor
	asked  []string // of sudo
}

func newWard(t *testing.T, text string) *ward {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("bin/sudo", "#!/bin/sh\n[ \"$1\" != -E ] || { echo 'sudo: sorry, you are not allowed to preserve the environment' >&2; exit 1; }\nexec \"$@\"\n", 0o755)
	write("jobs/web.hcl", text, 0o644)
	w := &ward{t: t}
	var err error
	w.server, err = nomadtest.Start(nomadtest.Options{PATH: filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), Parse: parse})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.server.Close() })
	if w.client, err = nomad.New(&api.Config{Address: w.server.URL()}); err != nil {
		t.Fatal(err)
	}
	set, diags := policies.Load([]policies.Source{{Name: "web.policy.hcl", Bytes: []byte(webPolicy)}}, policies.Options{Gates: gates.Kinds()})
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	w.doctor = &doctor.Doctor{
		Planner: &reconcile.Planner{
			Sources:  []reconcile.Source{{Directory: source.Directory{Name: "jobs", Path: filepath.Join(dir, "jobs"), Shown: "jobs", Include: []string{"**/*.hcl"}}}},
			Policies: set, Nomad: w.client, Namespaces: []string{"default"}, Concurrency: 1, ReadOnly: true,
		},
		Nomad: w.client, Sync: reconcile.Sync{Fix: true, Person: true}, Here: here, Now: time.Now, GateTime: 5 * time.Second,
		AskSudo: func(_ context.Context, user, runas string, command []string) (gates.SudoSays, error) {
			w.asked = append(w.asked, fmt.Sprint(user, " ", runas, " ", command))
			return gates.SudoSays{Allowed: true, NoPasswd: true, Command: "/bin/sleep"}, nil
		},
	}
	return w
}

func parse(src, _ string) (*api.Job, error) {
	f, diags := jobspec.Parse("job", []byte(src), jobspec.Inputs{})
	if diags.HasErrors() {
		return nil, diags
	}
	return f.Job, nil
}

// run registers a job and waits until its allocation is what is said.
func (w *ward) run(text, status string) {
	w.t.Helper()
	j, err := parse(text, "")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.client.Register(w.t.Context(), j, &api.JobSubmission{Source: text, Format: "hcl2"}, 0); err != nil {
		w.t.Fatal(err)
	}
	w.await(*j.ID, status)
}

func (w *ward) await(name, status string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	for index := uint64(0); ; {
		allocs, next, err := w.client.Allocations(ctx, job.ID{Namespace: "default", Name: name}, index)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(allocs) > 0 && allocs[0].ClientStatus == status {
			return
		}
		index = next
	}
}

func (w *ward) look(names ...string) doctor.Page {
	w.t.Helper()
	f, _, err := w.doctor.Look(w.t.Context(), reconcile.Selection{Jobs: names})
	if err != nil {
		w.t.Fatal(err)
	}
	return doctor.Examine(f)
}

func checkPage(t *testing.T, p doctor.Page, want string) {
	t.Helper()
	if got := p.Health.Words() + ": " + p.Verdict; got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

const ofSudo = "ill: task web: sudo refuses to preserve the environment, which jobs/web.hcl:21:20 asks of it"

// The story of the runbook: all that is known of it, read from a Nomad.
func TestLookAtTheRunbook(t *testing.T) {
	t.Parallel()
	w := newWard(t, webJob)
	w.run(webJob, "failed")
	p := w.look("web")
	checkPage(t, p, ofSudo+"; sudoers gives app no SETENV for it")
	if len(p.Plan.Findings) != 2 || p.Deployment == nil || len(p.Unknown) > 0 || p.Next[0].Command != "reconcile apply web" {
		t.Errorf("findings %d, deployment %v, unknown %q, next %v", len(p.Plan.Findings), p.Deployment, p.Unknown, p.Next)
	}
	if diff := cmp.Diff([]string{"app root [sleep 600]"}, w.asked); diff != "" {
		t.Error(diff)
	}
	if len(p.Tasks) != 1 || p.Tasks[0].Name != "web" || !strings.HasPrefix(strings.Join(p.Tasks[0].Stderr, "\n"), "sudo: sorry") {
		t.Fatalf("%+v", p.Tasks)
	}
	ends := 0
	for _, e := range p.Tasks[0].Events {
		if e.Ended && e.ExitCode == 1 {
			ends++
		}
	}
	if ends != 1 {
		t.Errorf("events: %+v", p.Tasks[0].Events)
	}
}

// What a token may not read is said, and the rest is told all the same.
func TestLookWithALesserToken(t *testing.T) {
	t.Parallel()
	w := newWard(t, webJob)
	w.run(webJob, "failed")
	for _, path := range []string{"/v1/client/fs/logs/*", "/v1/job/web/evaluations", "/v1/job/web/deployments", "/v1/job/web/plan"} {
		w.server.Fault(nomadtest.Forbidden("", path))
	}
	p := w.look("web")
	checkPage(t, p, "ill: task web: sudo would refuse its line, which jobs/web.hcl:21:20 asks of it; sudoers gives app no SETENV for it")
	if len(p.Tasks) != 1 || !strings.Contains(p.Tasks[0].NoStderr, "read-logs") {
		t.Errorf("%+v", p.Tasks)
	}
	text := strings.Join(p.Unknown, "\n")
	for _, want := range []string{"what apply would do: ", `"submit-job"`, "what the scheduler says: ", "the deployment: "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

func TestLookElsewhere(t *testing.T) {
	t.Parallel()
	w := newWard(t, webJob)
	w.run(webJob, "failed")
	w.doctor.Here = "elsewhere"
	p := w.look("web")
	checkPage(t, p, ofSudo)
	if len(p.Sudo) != 1 || !strings.HasSuffix(p.Sudo[0].Unknown, ", and this is elsewhere; run doctor there") || len(w.asked) > 0 {
		t.Errorf("%+v, asked %q", p.Sudo, w.asked)
	}
}

// Where the job runs, the gates of its rollout are asked.
func TestLookAtGates(t *testing.T) {
	t.Parallel()
	healthy := strings.Replace(webJob, `"-E", `, "", 1)
	w := newWard(t, healthy)
	w.run(healthy, "running")
	p := w.look("web")
	checkPage(t, p, "ill: it runs by Nomad's account, but gate command netns fails: exit code 1")
	if len(p.Gates) != 2 || !p.Gates[0].Passed || p.Gates[0].Kind != "job" {
		t.Errorf("%+v", p.Gates)
	}
}

func TestLookWithoutNomad(t *testing.T) {
	t.Parallel()
	w := newWard(t, webJob)
	w.server.Close()
	p := w.look("web")
	if p.Health != doctor.Blind || len(p.Plan.Findings) != 1 || len(p.Sudo) > 0 {
		t.Errorf("%v %q, %d findings", p.Health, p.Verdict, len(p.Plan.Findings))
	}
}

func TestLookAtWhatIsNowhere(t *testing.T) {
	t.Parallel()
	w := newWard(t, webJob)
	if _, _, err := w.doctor.Look(t.Context(), reconcile.Selection{Jobs: []string{"nothing"}}); !errors.Is(err, doctor.ErrNoJob) {
		t.Errorf("%v", err)
	}
	checkPage(t, w.look("web"), "ill: Nomad does not know the job: it was never registered, or was purged")
}

// A job without a file is looked at as it is registered, and a periodic one by its
// newest launch.
func TestLookAtALaunch(t *testing.T) {
	t.Parallel()
	w := newWard(t, webJob)
	nightly := `job "nightly" {
  type = "batch"
  periodic {
    crons = ["0 3 1 1 *"]
  }
  group "g" {
    restart {
      attempts = 0
      mode     = "fail"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }
    task "t" {
      driver = "raw_exec"
      config {
        command = "sh"
        args    = ["-c", "echo no database >&2; exit 3"]
      }
    }
  }
}
`
	j, err := parse(nightly, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Register(t.Context(), j, nil, 0); err != nil {
		t.Fatal(err)
	}
	checkPage(t, w.look("nightly"), "fine: nothing is wrong: it has not been launched yet")
	child, err := w.client.Force(t.Context(), job.ID{Namespace: "default", Name: "nightly"})
	if err != nil {
		t.Fatal(err)
	}
	w.await(child, "failed")
	p := w.look("nightly")
	checkPage(t, p, "ill: task t ends with exit code 3; it said: no database")
	if p.Child != child {
		t.Errorf("%s, launched %s", p.Child, child)
	}
	checkPage(t, w.look(child), "ill: task t ends with exit code 3; it said: no database")
}

// What sudo's programs cannot answer is said, with what helps.
func TestLookWithoutSudoers(t *testing.T) {
	t.Parallel()
	w := newWard(t, webJob)
	w.run(webJob, "failed")
	for fault, want := range map[string]string{
		"sudo is not installed on this host":                            "; `apt-get install sudo`, or the like, brings it",
		"cvtsudoers: unable to open /etc/sudoers: Permission denied":    "; run doctor as root",
		"sudo: a password is required":                                  "; run doctor as root",
		"sudo allows it, but no rule of sudoers says so: it is in LDAP": "",
	} {
		w.doctor.AskSudo = func(context.Context, string, string, []string) (gates.SudoSays, error) {
			return gates.SudoSays{}, errors.New(fault)
		}
		p := w.look("web")
		checkPage(t, p, ofSudo)
		if len(p.Sudo) != 1 || p.Sudo[0].Unknown != fault+want || p.Sudo[0].Says != (gates.SudoSays{}) {
			t.Errorf("%+v", p.Sudo)
		}
	}
}

// Whose sudo it is: the task's own user, that of its driver, of the rollout's gate,
// or of Nomad's agent; and what cannot be told.
func TestLookForTheUser(t *testing.T) {
	t.Parallel()
	with := func(old, new string) string { return strings.Replace(webJob, old, new, 1) }
	tests := map[string]struct{ text, want string }{
		"gate":     {webJob, "app"},
		"task":     {with(`driver       = "raw_exec"`, "driver = \"raw_exec\"\nuser = \"primihub\""), "primihub"},
		"exec":     {with(`"raw_exec"`, `"exec"`), "nobody"},
		"agent":    {with(`job "web"`, `job "other"`), "nomad-agent"},
		"docker":   {with(`"raw_exec"`, `"docker"`), "app: the task runs with the driver docker, which may have a sudoers of its own"},
		"run time": {with(`"sleep"`, `"${NOMAD_META_x}"`), "app: what the line says only shows at run time"},
		"a shell":  {with(`"-E", "sleep", "600"`, `"-Es"`), "app: it starts a shell of sudo's own"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWard(t, tt.text)
			w.doctor.AgentUser = "nomad-agent"
			j, err := parse(tt.text, "")
			if err != nil {
				t.Fatal(err)
			}
			j.TaskGroups[0].Count = new(0) // nothing is to run
			if _, err := w.client.Register(t.Context(), j, nil, 0); err != nil {
				t.Fatal(err)
			}
			p := w.look(*j.ID)
			if len(p.Sudo) != 1 {
				t.Fatalf("%+v", p.Sudo)
			}
			got := p.Sudo[0].User
			if why := p.Sudo[0].Unknown; why != "" {
				got += ": " + why
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

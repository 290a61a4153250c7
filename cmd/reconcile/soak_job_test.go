package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/jobspec"
	"nomad-reconcile/state/nomad"
)

// soakJob is what the model knows of one job. It is the disturber's alone, but for live.
type soakJob struct {
	number    int
	name      string
	path      string // of its file, which may be renamed
	text      string // that was last written
	rev       int    // in arguments, env and meta
	count     int
	there     bool // the file
	sudo      bool // it was written with -E
	broken    bool // it does not parse
	denied    bool // it has what is forbidden and cannot be fixed
	stopped   bool // by an operator
	removals  int  // of the file since somebody started the job
	disturbed int  // how often the live job was changed since the file was last written

	live sync.Mutex // held over whatever changes the live job, so that versions can be compared
}

// A job that is disturbed too often at one revision is held as a fight, rightly: of the
// three runs that make one, two are left to the disturber and one to accidents.
const mostDisturbed = 1

func newSoakJob(s *soaking, i int) *soakJob {
	name := fmt.Sprintf("soak-%04d", i)
	return &soakJob{number: i, name: name, path: filepath.Join(s.dir, "jobs", name+".hcl"), count: 1, there: true}
}

func (j *soakJob) id() job.ID { return job.ID{Namespace: job.DefaultNamespace, Name: j.name} }

// launched: it runs when somebody dispatches it.
func (j *soakJob) launched() bool { return j.number%20 == 9 }

func (j *soakJob) system() bool { return j.number%10 == 4 }

// tiered: a policy says what its TIER is.
func (j *soakJob) tiered() bool { return j.number%10 == 7 }

// render is the text of the file. What stands in it twice must be the same in the live
// job, whoever has changed what.
func (s *soaking) render(j *soakJob, serial int, tier string, sudo bool) string {
	kind, count, preserve, bad := "service", fmt.Sprintf("    count = %d\n", j.count), "", ""
	switch {
	case j.launched():
		kind, count = "batch", ""
	case j.system():
		kind, count = "system", ""
	}
	extra := "  update {\n    min_healthy_time  = \"10ms\"\n    healthy_deadline  = \"2m\"\n    progress_deadline = \"3m\"\n  }\n"
	if j.launched() {
		extra = "  parameterized {}\n"
	}
	if sudo {
		preserve = `"-E", `
	}
	if j.denied {
		bad = "        FORBIDDEN = \"yes\"\n"
	}
	text := fmt.Sprintf(`# written %d
job %q {
  type = %q
  meta {
    rev = "%d"
  }
%s
  group "main" {
%s
    task "app" {
      driver       = %q
      kill_timeout = "2s"

      config {
        command = "sudo"
        args    = [%s"sleep", "100000", "rev-%d"] # -E is not for us
      }
      env {
        TIER = %q
        REV  = "%d"
%s      }
      resources {
        cpu    = 1
        memory = 10
      }
    }
  }
}
`, serial, j.name, kind, j.rev, extra, count, s.driver, preserve, j.rev, tier, j.rev, bad)
	if s.driver == "raw_exec" {
		text = strings.Replace(text, fmt.Sprintf(`"sleep", "100000", "rev-%d"`, j.rev), fmt.Sprintf(`"sleep", "10%04d"`, j.rev), 1)
	}
	return text
}

// writeJob makes a new text of the job and writes it in place.
func (s *soaking) writeJob(j *soakJob, sudo bool) {
	s.compose(j, sudo)
	s.must(os.WriteFile(j.path, []byte(j.text), 0o644))
}

func (s *soaking) compose(j *soakJob, sudo bool) {
	s.serial++
	if sudo {
		s.deeds["(planted in a file)"]++
	}
	j.sudo, j.there, j.broken, j.disturbed = sudo, true, false, 0
	j.text = s.render(j, s.serial, "base", sudo)
}

// wantedText is what must be in the file in the end: each byte of what was written, but
// for what policies ask. What cannot be fixed keeps nothing else from being fixed.
func (s *soaking) wantedText(j *soakJob) string {
	text := strings.Replace(j.text, `"-E", `, "", 1)
	if j.tiered() {
		text = strings.Replace(text, `TIER = "base"`, fmt.Sprintf("TIER = %q", s.policy.tier), 1)
	}
	return text
}

// registerFile is `nomad job run` of the text that was last written.
func (j *soakJob) registerFile(s *soaking) error {
	f, diags := jobspec.Parse(filepath.Base(j.path), []byte(j.text), jobspec.Inputs{})
	if diags.HasErrors() {
		return diags
	}
	return j.change(s, func(live *api.Job) (*api.Job, *api.JobSubmission) { return f.Job, f.Submission })
}

// change registers what a person or a pipeline makes of the live job, or of none.
func (j *soakJob) change(s *soaking, to func(live *api.Job) (*api.Job, *api.JobSubmission)) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	j.live.Lock()
	defer j.live.Unlock()
	var index uint64
	live, err := s.client.Job(ctx, j.id())
	switch {
	case err == nil:
		index = *live.JobModifyIndex
	case !errors.Is(err, nomad.ErrNotFound):
		return err
	}
	next, sub := to(live)
	if next == nil {
		return nil
	}
	_, err = s.client.Register(ctx, next, sub, index)
	return err
}

// purge deregisters the job without a trace.
func (j *soakJob) purge(s *soaking) error {
	c, err := api.NewClient(&api.Config{Address: s.url})
	if err != nil {
		return err
	}
	defer c.Close()
	j.live.Lock()
	defer j.live.Unlock()
	_, _, err = c.Jobs().Deregister(j.name, true, nil)
	if err != nil && strings.Contains(err.Error(), "not found") {
		return nil
	}
	return err
}

// wrong says of every job that is not as the model has it what is wrong with it.
func (s *soaking) wrong() []string {
	status, err := s.status()
	if err != nil {
		return []string{err.Error()}
	}
	var out []string
	if status.Agent.LoadError != "" || status.Agent.NomadError != "" || !status.Agent.Ready {
		out = append(out, fmt.Sprintf("the agent says %+v", status.Agent))
	}
	said := map[string]soakStatusJob{}
	for _, j := range status.Jobs {
		said[j.ID] = j
	}
	for _, j := range s.jobs {
		if text := s.wrongWith(j, said[j.name]); text != "" {
			out = append(out, fmt.Sprintf("%s: %s\n  the agent says %s: %s\n%s", j.name, text, said[j.name].Condition, said[j.name].Reason, s.logTail(j.name)))
		}
	}
	return out
}

func (s *soaking) wrongWith(j *soakJob, said soakStatusJob) string {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	live, err := s.client.Job(ctx, j.id())
	if err != nil && !errors.Is(err, nomad.ErrNotFound) {
		return err.Error()
	}
	down := live == nil || *live.Stop
	if !j.there {
		if !down {
			return "its file is gone, and it was not stopped"
		}
		return ""
	}
	text, err := os.ReadFile(j.path)
	if err != nil {
		return err.Error()
	}
	if want := s.wantedText(j); string(text) != want {
		return fmt.Sprintf("its file is\n%s\nand should be\n%s", text, want)
	}
	switch {
	case said.Running || said.Queued:
		return "it is not at rest"
	case j.denied:
		return s.wrongDenied(j, live, said)
	case j.stopped || j.removals > 0 && down:
		if !down {
			return "an operator stopped it, and it was started"
		}
		return ""
	case down:
		return "it was stopped or removed, and not by an operator"
	case said.Condition != "in_sync":
		return "it is not in sync"
	case said.Findings > 0:
		return "it has findings"
	}
	return s.wrongSpec(j, live)
}

func (s *soaking) wrongDenied(j *soakJob, live *api.Job, said soakStatusJob) string {
	if said.Condition != "denied" {
		return "its file has what is forbidden, and it is not denied"
	}
	if live != nil && live.TaskGroups[0].Tasks[0].Env["FORBIDDEN"] != "" {
		return "what is forbidden was registered"
	}
	return ""
}

// wrongSpec holds the live job against the model, not against the file.
func (s *soaking) wrongSpec(j *soakJob, live *api.Job) string {
	task, tier := live.TaskGroups[0].Tasks[0], "base"
	if j.tiered() {
		tier = s.policy.tier
	}
	f, diags := jobspec.Parse("want", []byte(s.render(j, 0, tier, false)), jobspec.Inputs{})
	if diags.HasErrors() {
		return diags.Error()
	}
	want := f.Job.TaskGroups[0].Tasks[0]
	count := 1
	if f.Job.TaskGroups[0].Count != nil {
		count = *f.Job.TaskGroups[0].Count
	}
	got := fmt.Sprint(task.Config["args"], task.Env, live.Meta, *live.TaskGroups[0].Count)
	if wanted := fmt.Sprint(want.Config["args"], want.Env, f.Job.Meta, count); got != wanted {
		return fmt.Sprintf("live it has %s, want %s", got, wanted)
	}
	return ""
}

// mendAll ends what the agent rightly does nothing about, and says the last word on
// the policies.
func (s *soaking) mendAll() {
	for _, j := range s.jobs {
		if j.there && j.broken {
			s.writeJob(j, false)
		}
	}
	s.write("reconcile.hcl", s.config(s.serial))
	s.policy = soakPolicy{tier: "last"}
	s.writePolicies()
}

// at picks a job of which something holds.
func (s *soaking) at(holds func(*soakJob) bool) *soakJob {
	for range 20 {
		if j := s.jobs[s.random.IntN(len(s.jobs))]; holds(j) {
			return j
		}
	}
	return nil
}

// some are several jobs of which something holds, each once.
func (s *soaking) some(most int, holds func(*soakJob) bool) []*soakJob {
	var out []*soakJob
	for range 1 + s.random.IntN(max(most, 1)) {
		if j := s.at(holds); j != nil && !slices.Contains(out, j) {
			out = append(out, j)
		}
	}
	return out
}

func (s *soaking) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.t.Context().Done():
	}
}

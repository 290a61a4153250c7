package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// soakPolicy is what the policies say now. The last good ones are in force while what
// is on disk is broken.
type soakPolicy struct {
	tier   string // that some jobs must have
	warn   bool   // sudo is a warning
	more   bool   // there is one policy more
	broken bool
}

func (s *soaking) writePolicies() {
	s.serial++
	enforce, broken := "deny", ""
	if s.policy.warn {
		enforce = "warn"
	}
	if s.policy.broken {
		broken = "policy {"
	}
	s.write("policies/soak.policy.hcl", fmt.Sprintf(`policy "sudo" {
  description = "written %d"
  fix         = true
  enforce     = %q
  sudo {
    preserve_env = false
  }
}

policy "tier" {
  fix = true
  match {
    job = ["soak-*7"]
  }
  env {
    values = { TIER = %q }
  }
}

policy "forbidden" {
  env {
    forbidden = ["FORBIDDEN"]
  }
}

rollout "restart" {
  match {
    job  = ["soak-*3"]
  }
  strategy = "restart"
}
%s
`, s.serial, enforce, s.policy.tier, broken))
	more := filepath.Join(s.dir, "policies", "more.policy.hcl")
	if !s.policy.more {
		if err := os.Remove(more); err != nil && !os.IsNotExist(err) {
			s.t.Fatal(err)
		}
		return
	}
	s.write("policies/more.policy.hcl", "policy \"cpu\" {\n  enforce = \"warn\"\n  rule \"cpu\" {\n    scope   = \"task\"\n    assert  = task.resources.cpu > 10\n    message = \"task ${task.name} is small\"\n  }\n}\n")
}

// soakDeed is something that is done to the agent, and how often among all.
type soakDeed struct {
	name  string
	often int
	do    func(*soaking) error
}

var soakDeeds = []soakDeed{
	{"edit a file", 30, editFile},
	{"plant -E in a file", 15, plantInFile},
	{"edit comments", 8, editComment},
	{"break a file", 5, breakFile},
	{"mend a file", 6, mendFile},
	{"write what is forbidden", 2, denyFile},
	{"remove a file", 2, removeFile},
	{"bring a file back", 5, restoreFile},
	{"rename a file", 4, renameFile},
	{"copy a file, then remove it", 2, copyFile},
	{"check out many files", 1, checkout},
	{"plant -E in a live job", 12, plantInLive},
	{"change a live job", 8, changeLive},
	{"stop a job", 4, stopLive},
	{"start a job", 6, startLive},
	{"purge a job", 2, purgeLive},
	{"change policies", 1, changePolicies},
	{"break policies", 1, breakPolicies},
	{"mend policies", 2, mendPolicies},
	{"touch reconcile.hcl", 1, touchConfig},
	{"SIGHUP", 1, hangUp},
	{"cut streams", 2, func(s *soaking) error { s.proxy.cutStreams(); return nil }},
	{"Nomad goes away", 1, loseNomad},
	{"slow answers", 1, slowAnswers},
	{"errors 500", 1, failing},
	{"registers without an answer", 1, registerUnanswered},
}

// disturb does things for a while.
func (s *soaking) disturb(d time.Duration) {
	total := 0
	for _, deed := range soakDeeds {
		total += deed.often
	}
	for end := time.Now().Add(d); time.Now().Before(end); {
		s.alive()
		n := s.random.IntN(total)
		for _, deed := range soakDeeds {
			if n -= deed.often; n < 0 {
				s.did(deed)
				break
			}
		}
		s.sleep(time.Duration(s.random.ExpFloat64() * float64(s.pace)))
	}
	s.proxy.behave()
}

func (s *soaking) did(d soakDeed) {
	err := d.do(s)
	if errors.Is(err, nomad.ErrConflict) || errors.Is(err, nomad.ErrUnreachable) && s.real != nil {
		s.deeds[d.name+" (in vain)"]++
		return
	}
	if err != nil {
		s.t.Fatalf("%s: %v", d.name, err)
	}
	s.deeds[d.name]++
}

func whole(j *soakJob) bool    { return j.there && !j.broken }
func editable(j *soakJob) bool { return whole(j) && !j.denied }
func gone(j *soakJob) bool     { return !j.there }

// running: the live job may be changed without making a fight of it.
func disturbable(j *soakJob) bool {
	return editable(j) && !j.stopped && j.removals == 0 && j.disturbed < mostDisturbed
}

// vary changes what a file says.
func (s *soaking) vary(j *soakJob) {
	j.rev++
	if j.rev%3 == 0 && j.number < 500 {
		j.count = 1 + s.random.IntN(3)
	}
}

// replace writes the way editors do.
func (s *soaking) replace(j *soakJob) error {
	temp := filepath.Join(filepath.Dir(j.path), fmt.Sprintf(".%s.tmp%d", j.name, s.serial))
	if err := os.WriteFile(temp, []byte(j.text), 0o644); err != nil {
		return err
	}
	return os.Rename(temp, j.path)
}

func editFile(s *soaking) error {
	if j := s.at(whole); j != nil {
		s.vary(j)
		j.denied = false
		s.compose(j, false)
		if s.random.IntN(2) == 0 {
			return s.replace(j)
		}
		return os.WriteFile(j.path, []byte(j.text), 0o644)
	}
	return nil
}

func plantInFile(s *soaking) error {
	if j := s.at(editable); j != nil {
		if s.random.IntN(2) == 0 {
			s.vary(j)
		}
		s.compose(j, true)
		return s.replace(j)
	}
	return nil
}

func editComment(s *soaking) error {
	if j := s.at(editable); j != nil {
		s.compose(j, false) // its number is in a comment
		return s.replace(j)
	}
	return nil
}

func breakFile(s *soaking) error {
	if j := s.at(whole); j != nil {
		s.compose(j, false)
		j.broken, j.text = true, strings.Replace(j.text, "  group", "  group {{", 1)
		return os.WriteFile(j.path, []byte(j.text), 0o644)
	}
	return nil
}

func mendFile(s *soaking) error {
	for range 50 {
		if j := s.at(func(j *soakJob) bool { return j.there && j.broken }); j != nil {
			s.compose(j, false)
			return s.replace(j)
		}
	}
	return nil
}

func denyFile(s *soaking) error {
	if j := s.at(editable); j != nil {
		j.denied = true
		s.compose(j, false)
		return s.replace(j)
	}
	return nil
}

func removeFile(s *soaking) error {
	if j := s.at(editable); j != nil {
		j.there = false
		j.removals++
		return os.Remove(j.path)
	}
	return nil
}

func restoreFile(s *soaking) error {
	for range 50 {
		if j := s.at(gone); j != nil {
			s.compose(j, false)
			return s.replace(j)
		}
	}
	return nil
}

func renameFile(s *soaking) error {
	if j := s.at(whole); j != nil {
		s.serial++
		old, name := j.path, fmt.Sprintf("%s-%d.hcl", j.name, s.serial)
		j.path = filepath.Join(s.dir, "jobs", name)
		if s.random.IntN(3) == 0 {
			j.path = filepath.Join(s.dir, "jobs", fmt.Sprintf("folder-%d", s.random.IntN(20)), name)
		}
		if err := os.MkdirAll(filepath.Dir(j.path), 0o755); err != nil {
			return err
		}
		return os.Rename(old, j.path)
	}
	return nil
}

// copyFile: two files mean one job for a while.
func copyFile(s *soaking) error {
	if j := s.at(editable); j != nil {
		other := strings.TrimSuffix(j.path, ".hcl") + "-copy.hcl"
		if err := os.WriteFile(other, []byte(j.text), 0o644); err != nil {
			return err
		}
		s.sleep(time.Duration(s.random.IntN(1000)) * time.Millisecond)
		return os.Remove(other)
	}
	return nil
}

// checkout writes many files at once, in place, as git does.
func checkout(s *soaking) error {
	for _, j := range s.some(len(s.jobs)/5, editable) {
		s.vary(j)
		s.compose(j, s.random.IntN(10) == 0)
		if err := os.Remove(j.path); err != nil {
			return err
		}
		if err := os.WriteFile(j.path, []byte(j.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func plantInLive(s *soaking) error {
	j := s.at(disturbable)
	if j == nil {
		return nil
	}
	return j.change(s, func(live *api.Job) (*api.Job, *api.JobSubmission) {
		if live == nil || *live.Stop {
			return nil, nil
		}
		next := job.Clone(live)
		task := next.TaskGroups[0].Tasks[0]
		args, _ := task.Config["args"].([]any)
		if len(args) > 0 && args[0] == "-E" {
			return nil, nil
		}
		task.Config["args"] = append([]any{"-E"}, args...)
		j.disturbed++
		s.deeds["(planted in a live job)"]++
		return next, nil
	})
}

func changeLive(s *soaking) error {
	j := s.at(disturbable)
	if j == nil {
		return nil
	}
	return j.change(s, func(live *api.Job) (*api.Job, *api.JobSubmission) {
		if live == nil || *live.Stop {
			return nil, nil
		}
		next := job.Clone(live)
		s.serial++
		switch {
		case s.random.IntN(2) == 0 && *live.Type == "service":
			next.TaskGroups[0].Count = new(*live.TaskGroups[0].Count + 1)
		case s.random.IntN(2) == 0:
			next.Meta["rev"] = fmt.Sprintf("by hand %d", s.serial)
		default:
			next.TaskGroups[0].Tasks[0].Env["REV"] = fmt.Sprintf("by hand %d", s.serial)
		}
		j.disturbed++
		return next, nil
	})
}

// stopLive is `nomad job stop`, with a check: it must not take a job for running that
// the agent has just stopped to restart it.
func stopLive(s *soaking) error {
	j := s.at(func(j *soakJob) bool { return whole(j) && !j.stopped })
	if j == nil {
		return nil
	}
	err := j.change(s, func(live *api.Job) (*api.Job, *api.JobSubmission) {
		if live == nil || *live.Stop {
			return nil, nil
		}
		next := job.Clone(live)
		next.Stop = new(true)
		j.stopped = true
		s.proxy.stopped(j.name, true)
		return next, nil
	})
	if err != nil {
		j.stopped = false
		s.proxy.stopped(j.name, false)
	}
	return err
}

func startLive(s *soaking) error {
	j := s.at(func(j *soakJob) bool { return editable(j) && (j.stopped || j.removals > 0) })
	if j == nil {
		return nil
	}
	was := j.stopped
	err := j.change(s, func(live *api.Job) (*api.Job, *api.JobSubmission) {
		j.stopped = false
		s.proxy.stopped(j.name, false)
		if live == nil || !*live.Stop {
			return nil, nil
		}
		next := job.Clone(live)
		next.Stop = new(false)
		j.removals = 0
		j.disturbed++
		return next, nil
	})
	if err != nil {
		j.stopped = was
		s.proxy.stopped(j.name, was)
	}
	return err
}

func purgeLive(s *soaking) error {
	if j := s.at(disturbable); j != nil {
		j.disturbed++
		return j.purge(s)
	}
	return nil
}

func changePolicies(s *soaking) error {
	s.policy.tier = fmt.Sprintf("tier-%d", s.random.IntN(3))
	s.policy.warn, s.policy.more, s.policy.broken = s.random.IntN(2) == 0, s.random.IntN(2) == 0, false
	s.writePolicies()
	return nil
}

func breakPolicies(s *soaking) error {
	s.policy.broken = true
	s.writePolicies()
	return nil
}

func mendPolicies(s *soaking) error {
	if s.policy.broken {
		s.policy.broken = false
		s.writePolicies()
	}
	return nil
}

func touchConfig(s *soaking) error {
	s.serial++
	return os.WriteFile(filepath.Join(s.dir, "reconcile.hcl"), []byte(s.config(s.serial)), 0o644)
}

func loseNomad(s *soaking) error {
	if s.real != nil && s.random.IntN(2) == 0 {
		return s.real.Restart()
	}
	s.proxy.misbehave(soakFault{away: true}, time.Duration(500+s.random.IntN(3000))*time.Millisecond)
	s.proxy.cutAll()
	return nil
}

func slowAnswers(s *soaking) error {
	s.proxy.misbehave(soakFault{delay: 300 * time.Millisecond}, time.Duration(500+s.random.IntN(4000))*time.Millisecond)
	return nil
}

func failing(s *soaking) error {
	s.proxy.misbehave(soakFault{fails: 0.3}, time.Duration(500+s.random.IntN(4000))*time.Millisecond)
	return nil
}

func registerUnanswered(s *soaking) error {
	s.proxy.misbehave(soakFault{unanswered: true}, time.Duration(200+s.random.IntN(1000))*time.Millisecond)
	return nil
}

func hangUp(s *soaking) error { return s.agent.Process.Signal(syscall.SIGHUP) }

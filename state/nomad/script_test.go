package nomad_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// script is one scenario's client and what it has told so far.
type script struct {
	*nomad.Client
	strings.Builder
	t    *testing.T
	ctx  context.Context
	name string
}

// say adds a line to the transcript.
func (s *script) say(format string, args ...any) {
	fmt.Fprintln(s, plain(fmt.Sprintf(format, args...)))
}

var (
	uuids     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	indices   = regexp.MustCompile(`((?:modify )?index:?) [1-9][0-9]*`)
	restarts  = regexp.MustCompile(`restarting in \S+`)
	launches  = regexp.MustCompile(`/(dispatch|periodic)-[0-9]{10}(-[0-9a-f]{8})?`)
	addresses = regexp.MustCompile(`http://127\.0\.0\.1:\d+`)
)

// plain leaves out what is never the same twice.
func plain(text string) string {
	text = uuids.ReplaceAllString(text, "UUID")
	text = indices.ReplaceAllString(text, "$1 N")
	text = restarts.ReplaceAllString(text, "restarting in DELAY")
	text = launches.ReplaceAllString(text, "/$1-LAUNCH")
	return addresses.ReplaceAllString(text, "ADDRESS")
}

// must ends the scenario at an error that it does not expect.
func must[T any](s *script) func(T, error) T {
	return func(v T, err error) T {
		s.t.Helper()
		if err != nil {
			s.t.Fatalf("%v (%v)\nso far:\n%s", err, hint(err), s)
		}
		return v
	}
}

func hint(err error) string {
	if e, ok := errors.AsType[*nomad.Error](err); ok {
		return e.Hint
	}
	return ""
}

// errorKind is the sentinel that an error matches.
func errorKind(err error) string {
	for name, kind := range map[string]error{"not found": nomad.ErrNotFound, "conflict": nomad.ErrConflict, "forbidden": nomad.ErrForbidden, "unreachable": nomad.ErrUnreachable} {
		if errors.Is(err, kind) {
			return name
		}
	}
	if err != nil {
		return "error"
	}
	return "ok"
}

// id is the scenario's job.
func (s *script) id() job.ID { return job.ID{Namespace: "default", Name: s.name} }

// job is a service job whose one task runs a shell script, and whose waits are
// short.
func (s *script) job(shell string) *api.Job {
	return &api.Job{
		ID: new(s.name), Type: new("service"), Datacenters: []string{"*"},
		Update: &api.UpdateStrategy{
			MinHealthyTime: new(100 * time.Millisecond), HealthyDeadline: new(20 * time.Second), ProgressDeadline: new(30 * time.Second),
		},
		TaskGroups: []*api.TaskGroup{{
			Name: new("g"), Count: new(1),
			RestartPolicy:    &api.RestartPolicy{Attempts: new(0), Interval: new(time.Minute), Delay: new(100 * time.Millisecond), Mode: new("fail")},
			ReschedulePolicy: &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)},
			Tasks: []*api.Task{{
				Name: "t", Driver: "raw_exec",
				Config:      map[string]any{"command": "/bin/sh", "args": []any{"-c", shell}},
				KillTimeout: new(time.Second), KillSignal: "SIGTERM",
				Resources: &api.Resources{CPU: new(10), MemoryMB: new(16)},
			}},
		}},
	}
}

func task(j *api.Job) *api.Task { return j.TaskGroups[0].Tasks[0] }

// idle is a script that runs until it is told to end.
const idle = `exec sleep 1000`

func (s *script) register(j *api.Job, sub *api.JobSubmission, index uint64) nomad.Registration {
	s.t.Helper()
	return must[nomad.Registration](s)(s.Register(s.ctx, j, sub, index))
}

func (s *script) live(id job.ID) *api.Job {
	s.t.Helper()
	return must[*api.Job](s)(s.Job(s.ctx, id))
}

// await reads the allocations of a job until they are as wanted.
func (s *script) await(id job.ID, wanted func([]*api.AllocationListStub) bool) []*api.AllocationListStub {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 30*time.Second)
	defer cancel()
	var index uint64
	for {
		allocs, next, err := s.Allocations(ctx, id, index)
		if err != nil {
			s.t.Fatalf("waiting for allocations: %v", err)
		}
		if wanted(allocs) {
			return allocs
		}
		index = next
	}
}

// status waits until all allocations of the job's live version have that client
// status.
func (s *script) status(id job.ID, status string) []*api.AllocationListStub {
	s.t.Helper()
	version := *s.live(id).Version
	return s.await(id, func(allocs []*api.AllocationListStub) bool {
		some := false
		for _, a := range allocs {
			some = some || a.JobVersion == version
			if a.ClientStatus == "failed" && status != "failed" {
				lines, _ := s.Tail(s.ctx, a.ID, "t", "stderr", 5)
				s.t.Fatalf("an allocation failed: %q", lines)
			}
			if a.JobVersion == version && a.ClientStatus != status {
				return false
			}
		}
		return some
	})
}

// deployed waits until the deployment of one version has ended.
func (s *script) deployed(id job.ID, spec uint64) *api.Deployment {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, 40*time.Second)
	defer cancel()
	var index uint64
	for {
		list, next, err := s.Deployments(ctx, id, index)
		if err != nil {
			s.t.Fatalf("waiting for a deployment: %v", err)
		}
		for _, d := range list {
			if d.JobSpecModifyIndex == spec && d.Status != "running" {
				return d
			}
		}
		index = next
	}
}

func (s *script) sayDeployment(d *api.Deployment) {
	s.say("deployment of version %d: %s (%s)", d.JobVersion, d.Status, d.StatusDescription)
	for name, g := range d.TaskGroups {
		s.say("  group %s: desired %d, placed %d, healthy %d, unhealthy %d, auto_revert %t, progress_deadline %s",
			name, g.DesiredTotal, g.PlacedAllocs, g.HealthyAllocs, g.UnhealthyAllocs, g.AutoRevert, g.ProgressDeadline)
	}
}

func (s *script) sayAllocs(allocs []*api.AllocationListStub) {
	sorted := slices.SortedFunc(slices.Values(allocs), func(a, b *api.AllocationListStub) int {
		return strings.Compare(fmt.Sprint(a.JobVersion, a.Name), fmt.Sprint(b.JobVersion, b.Name))
	})
	for _, a := range sorted {
		s.say("allocation %s of version %d (%s): desired %s (%s), client %s (%s)",
			a.Name, a.JobVersion, a.JobType, a.DesiredStatus, a.DesiredDescription, a.ClientStatus, a.ClientDescription)
		for name, st := range a.TaskStates {
			s.say("  task %s: %s, failed %t, restarts %d, started %t, finished %t", name, st.State, st.Failed, st.Restarts, !st.StartedAt.IsZero(), !st.FinishedAt.IsZero())
			s.sayEvents(st.Events)
		}
	}
}

// sayEvents leaves out how a task ended that was told to: the real executor is
// sometimes gone before it can say.
func (s *script) sayEvents(events []*api.TaskEvent) {
	told := false
	for _, e := range events {
		told = told || e.Type == api.TaskKilling
		switch {
		case e.Type != api.TaskTerminated:
			s.say("    %s: %s", e.Type, e.DisplayMessage)
		case told:
			s.say("    %s", e.Type)
		default:
			s.say("    %s: %s (exit %d, signal %d, details %s %s)", e.Type, e.DisplayMessage, e.ExitCode, e.Signal, e.Details["exit_code"], e.Details["signal"])
		}
	}
}

func (s *script) sayJob(j *api.Job) {
	s.say("job: version %d, stop %t, stable %t, status %s", *j.Version, *j.Stop, *j.Stable, *j.Status)
}

func (s *script) saySubmission(id job.ID, version uint64) {
	s.t.Helper()
	sub := must[*api.JobSubmission](s)(s.Submission(s.ctx, id, version))
	if sub == nil {
		s.say("submission of version %d: none", version)
		return
	}
	s.say("submission of version %d: %s %q, variables %q, flags %v", version, sub.Format, sub.Source, sub.Variables, sub.VariableFlags)
}

func (s *script) sayError(what string, err error) { s.say("%s: %s: %v", what, errorKind(err), err) }

// sayJSON tells v without what is null, empty or never the same twice.
func (s *script) sayJSON(what string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.t.Fatal(err)
	}
	var any any
	if err := json.Unmarshal(b, &any); err != nil {
		s.t.Fatal(err)
	}
	b, _ = json.MarshalIndent(lean(any), "", " ")
	s.say("%s: %s", what, b)
}

// lean leaves out null and empty values and everything that counts or dates.
func lean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if slices.Contains([]string{"CreateIndex", "ModifyIndex", "JobModifyIndex", "SubmitTime", "NextPeriodicLaunch"}, k) {
				continue
			}
			if e = lean(e); e != nil {
				out[k] = e
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		for i := range v {
			v[i] = lean(v[i])
		}
		if len(v) == 0 {
			return nil
		}
	}
	return v
}

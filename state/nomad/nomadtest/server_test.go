package nomadtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
	"nomad-reconcile/state/nomad/nomadtest"
)

func start(t *testing.T, opts nomadtest.Options) (*nomadtest.Server, *nomad.Client) {
	t.Helper()
	srv, err := nomadtest.Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	c, err := nomad.New(&api.Config{Address: srv.URL()})
	if err != nil {
		t.Fatal(err)
	}
	return srv, c
}

func shell(name, script string) *api.Job {
	return &api.Job{ID: &name, Type: new("service"), TaskGroups: []*api.TaskGroup{{
		Name:          new("g"),
		RestartPolicy: &api.RestartPolicy{Attempts: new(0), Mode: new("fail")},
		Tasks: []*api.Task{{
			Name: "t", Driver: "raw_exec", KillTimeout: new(50 * time.Millisecond),
			Config: map[string]any{"command": "sh", "args": []any{"-c", script}},
		}},
	}}}
}

// awaitAllocs reads until the allocations are as wanted.
func awaitAllocs(t *testing.T, c *nomad.Client, name string, wanted func([]*api.AllocationListStub) bool) []*api.AllocationListStub {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for index := uint64(0); ; {
		allocs, next, err := c.Allocations(ctx, job.ID{Name: name}, index)
		if err != nil {
			t.Fatal(err)
		}
		if wanted(allocs) {
			return allocs
		}
		index = next
	}
}

func client(status string) func([]*api.AllocationListStub) bool {
	return func(allocs []*api.AllocationListStub) bool {
		return len(allocs) > 0 && allocs[len(allocs)-1].ClientStatus == status
	}
}

// awaitLine follows the task's stdout up to its first line.
func awaitLine(t *testing.T, c *nomad.Client, alloc string) string {
	t.Helper()
	r, err := c.Logs(t.Context(), alloc, "t", "stdout", true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var text strings.Builder
	for b := make([]byte, 256); !strings.Contains(text.String(), "\n"); {
		n, err := r.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(b[:n])
	}
	return strings.TrimSpace(text.String())
}

// What a task starts ends with the server, deaf to signals or not, and leaves no
// files.
func TestCloseEndsProcesses(t *testing.T) {
	t.Parallel()
	srv, c := start(t, nomadtest.Options{})
	deaf := `trap "" INT TERM; (trap "" INT TERM; while :; do sleep 0.05; done) & echo $$ $! "$NOMAD_TASK_DIR"; while :; do sleep 0.05; done`
	if _, err := c.Register(t.Context(), shell("deaf", deaf), nil, 0); err != nil {
		t.Fatal(err)
	}
	a := awaitAllocs(t, c, "deaf", client("running"))[0]
	words := strings.Fields(awaitLine(t, c, a.ID))
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	for _, w := range words[:2] {
		pid, err := strconv.Atoi(w)
		if err != nil {
			t.Fatal(err)
		}
		if alive(pid) {
			t.Errorf("process %d is alive after Close", pid)
		}
	}
	if _, err := os.Stat(words[2]); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", words[2], err)
	}
	if _, err := c.Job(t.Context(), job.ID{Name: "deaf"}); !errors.Is(err, nomad.ErrUnreachable) {
		t.Errorf("after Close: %v", err)
	}
}

// alive tells a running process from none and from one that nobody has reaped yet.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestFaultsStrikeWhatTheyMatch(t *testing.T) {
	t.Parallel()
	srv, c := start(t, nomadtest.Options{})
	ctx := t.Context()
	remove := srv.Fault(nomadtest.Forbidden("PUT", "/v1/jobs"))
	if _, err := c.Register(ctx, shell("a", "exec sleep 100"), nil, 0); !errors.Is(err, nomad.ErrForbidden) {
		t.Errorf("register: %v, want forbidden", err)
	}
	if _, err := c.Jobs(ctx, []string{"*"}); err != nil {
		t.Errorf("list: %v, want no fault on another method", err)
	}
	remove()
	r, err := c.Register(ctx, shell("a", "exec sleep 100"), nil, 0)
	if err != nil {
		t.Fatalf("register after remove: %v", err)
	}

	srv.Fault(nomadtest.Fault{Path: "/v1/job/*", Status: 500, Text: "once", Times: 1})
	if _, err := c.Job(ctx, job.ID{Name: "a"}); err == nil || !strings.Contains(err.Error(), "once") {
		t.Errorf("first read: %v", err)
	}
	live, err := c.Job(ctx, job.ID{Name: "a"})
	if err != nil {
		t.Fatalf("second read: %v", err)
	}

	// The answer is lost, the deed is done: what a controller must survive.
	srv.Fault(nomadtest.Fault{Method: "PUT", Path: "/v1/jobs", Cut: true, Times: 1})
	if _, err := c.Stop(ctx, live, r.JobModifyIndex); !errors.Is(err, nomad.ErrUnreachable) {
		t.Errorf("stop: %v, want a lost answer", err)
	}
	if live, err = c.Job(ctx, job.ID{Name: "a"}); err != nil || !*live.Stop {
		t.Errorf("stopped %v, %v", live, err)
	}
}

func TestCommandsOfPATH(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "sh"), []byte("#!/bin/sh\necho ours \"$@\"\nexec /bin/sleep 100\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, c := start(t, nomadtest.Options{PATH: dir})
	if _, err := c.Register(t.Context(), shell("p", "x"), nil, 0); err != nil {
		t.Fatal(err)
	}
	a := awaitAllocs(t, c, "p", client("running"))[0]
	if line := awaitLine(t, c, a.ID); line != "ours -c x" {
		t.Errorf("the task printed %q", line)
	}
}

func TestRescheduling(t *testing.T) {
	t.Parallel()
	_, c := start(t, nomadtest.Options{})
	j := shell("again", "exit 1")
	j.Type, j.TaskGroups[0].ReschedulePolicy = new("batch"), &api.ReschedulePolicy{Attempts: new(1), Interval: new(time.Hour), Delay: new(10 * time.Millisecond), DelayFunction: new("constant"), Unlimited: new(false)}
	if _, err := c.Register(t.Context(), j, nil, 0); err != nil {
		t.Fatal(err)
	}
	allocs := awaitAllocs(t, c, "again", func(allocs []*api.AllocationListStub) bool {
		return len(allocs) == 2 && allocs[0].ClientStatus == "failed" && allocs[1].ClientStatus == "failed"
	})
	old, next := allocs[0], allocs[1]
	if old.NextAllocation == "" {
		old, next = next, old
	}
	if old.NextAllocation != next.ID || old.DesiredStatus != "stop" || len(next.RescheduleTracker.Events) != 1 {
		t.Errorf("rescheduled %+v as %+v", old, next)
	}
}

// Tasks of the mock_driver need no process, and end as they are told to.
func TestMockDriver(t *testing.T) {
	t.Parallel()
	_, c := start(t, nomadtest.Options{})
	for name, tc := range map[string]struct {
		config map[string]any
		status string
	}{
		"stays":   {map[string]any{}, "running"},
		"ends":    {map[string]any{"run_for": "1ms"}, "complete"},
		"fails":   {map[string]any{"run_for": "1ms", "exit_code": 3}, "failed"},
		"no time": {map[string]any{"run_for": "soon"}, "running"},
	} {
		id := strings.ReplaceAll(name, " ", "-")
		j := shell(id, "")
		j.Type, j.TaskGroups[0].Tasks[0].Driver, j.TaskGroups[0].Tasks[0].Config = new("batch"), "mock_driver", tc.config
		j.TaskGroups[0].ReschedulePolicy = &api.ReschedulePolicy{Attempts: new(0), Unlimited: new(false)}
		if _, err := c.Register(t.Context(), j, nil, 0); err != nil {
			t.Fatal(err)
		}
		allocs := awaitAllocs(t, c, id, client(tc.status))
		if events := allocs[0].TaskStates["t"].Events; name == "fails" && !slices.ContainsFunc(events, func(e *api.TaskEvent) bool { return e.ExitCode == 3 }) {
			t.Errorf("%s: no event has exit code 3", name)
		}
	}
}

// An operator stops and purges a job without a look at its index; streams tell, and end
// on demand.
func TestDeregisterAndCutStreams(t *testing.T) {
	t.Parallel()
	srv, c := start(t, nomadtest.Options{Heartbeat: 5 * time.Millisecond})
	id := job.ID{Namespace: "default", Name: "gone/by@hand"}
	if _, err := c.Register(t.Context(), shell(id.Name, "exec sleep 100"), nil, 0); err != nil {
		t.Fatal(err)
	}
	a := awaitAllocs(t, c, id.Name, client("running"))[0]
	logs, err := c.Logs(t.Context(), a.ID, "t", "stdout", true)
	if err != nil {
		t.Fatal(err)
	}
	defer logs.Close()
	deregister(t, srv, id, false)
	awaitAllocs(t, c, id.Name, client("complete"))
	if live, err := c.Job(t.Context(), id); err != nil || !*live.Stop || *live.Version != 1 {
		t.Errorf("after a stop: %+v, %v", live, err)
	}
	told := false
	err = c.Follow(t.Context(), []string{"*"}, 0, func(b nomad.Batch) {
		switch {
		case b.Opened:
			go deregister(t, srv, id, true)
		case told && len(b.Jobs) == 0: // a heartbeat
			srv.CutStreams()
		case slices.Contains(b.Jobs, id):
			_, err := c.Job(t.Context(), id)
			told = errors.Is(err, nomad.ErrNotFound)
		}
	})
	if !errors.Is(err, nomad.ErrUnreachable) {
		t.Errorf("following: %v, want a cut", err)
	}
	if _, err := io.ReadAll(logs); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the log: %v, want a cut", err)
	}
}

func deregister(t *testing.T, srv *nomadtest.Server, id job.ID, purge bool) {
	req, err := http.NewRequest(http.MethodDelete, fmt.Sprintf("%s/v1/job/%s?purge=%t", srv.URL(), url.PathEscape(id.Name), purge), nil)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Errorf("deregistering: %s", resp.Status)
	}
}

func TestPrestartComesFirst(t *testing.T) {
	t.Parallel()
	_, c := start(t, nomadtest.Options{})
	j := shell("hooks", `cat "$NOMAD_ALLOC_DIR/word"; exec sleep 100`)
	hook := shell("", `echo made > "$NOMAD_ALLOC_DIR/word"`).TaskGroups[0].Tasks[0]
	hook.Name, hook.Lifecycle = "before", &api.TaskLifecycle{Hook: "prestart"}
	j.TaskGroups[0].Tasks = append(j.TaskGroups[0].Tasks, hook)
	j.Update = &api.UpdateStrategy{MinHealthyTime: new(10 * time.Millisecond)}
	if _, err := c.Register(t.Context(), j, nil, 0); err != nil {
		t.Fatal(err)
	}
	allocs := awaitAllocs(t, c, "hooks", func(allocs []*api.AllocationListStub) bool {
		return len(allocs) == 1 && allocs[0].DeploymentStatus != nil && allocs[0].DeploymentStatus.Healthy != nil
	})
	if !*allocs[0].DeploymentStatus.Healthy {
		t.Error("unhealthy, though the hook did its work")
	}
	if line := awaitLine(t, c, allocs[0].ID); line != "made" {
		t.Errorf("the task read %q", line)
	}
}

package nomadtest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/hashicorp/nomad/api"
)

// task runs one task until it is over for good, and tells whether it did not fail.
func (r *runner) task(ctx context.Context, t *api.Task) bool {
	if name := r.unknownReference(t); name != "" {
		text := fmt.Sprintf("failed to parse config: ${%s} is not known", name)
		e := newEvent(api.TaskFailedValidation, text, map[string]string{"validation_error": text})
		e.ValidationError = text
		r.event(t, nil, e)
		return r.givenUp(t, "Error was unrecoverable")
	}
	restarts := restarts{policy: t.RestartPolicy}
	for {
		ok := r.attempt(ctx, t)
		if ctx.Err() != nil {
			r.killed(t)
			return true
		}
		if ok && r.runsOnce(t) {
			r.event(t, dead(false), nil)
			return true
		}
		delay, reason, again := restarts.next(time.Now())
		if !again {
			return r.givenUp(t, reason)
		}
		r.restarting(t, delay, reason)
		timer := time.NewTimer(delay)
		select {
		case <-ctx.Done():
			timer.Stop()
			r.killed(t)
			return true
		case <-timer.C:
		}
	}
}

// runsOnce: only batch jobs' tasks and hooks that are no sidecars may end.
func (r *runner) runsOnce(t *api.Task) bool {
	return isBatch(r.job) || t.Lifecycle != nil && !t.Lifecycle.Sidecar
}

func dead(failed bool) func(*api.TaskState) {
	return func(st *api.TaskState) { st.State, st.Failed, st.FinishedAt = "dead", failed, time.Now() }
}

// givenUp fails the task for good.
func (r *runner) givenUp(t *api.Task, reason string) bool {
	e := newEvent(api.TaskNotRestarting, reason, map[string]string{"restart_reason": reason, "fails_task": "true"})
	e.RestartReason, e.FailsTask = reason, true
	r.event(t, dead(true), e)
	return false
}

func (r *runner) killed(t *api.Task) {
	r.event(t, dead(false), newEvent(api.TaskKilled, "Task successfully killed", nil))
}

func (r *runner) restarting(t *api.Task, delay time.Duration, reason string) {
	e := newEvent(api.TaskRestarting, fmt.Sprintf("Task restarting in %v", delay), map[string]string{"restart_reason": reason, "start_delay": strconv.FormatInt(int64(delay), 10)})
	e.RestartReason, e.StartDelay = reason, int64(delay)
	r.event(t, func(st *api.TaskState) { st.State = "pending"; st.Restarts++; st.LastRestart = time.Now() }, e)
}

// restarts counts a task's restarts against its restart block.
type restarts struct {
	policy *api.RestartPolicy
	since  time.Time
	used   int
}

func (r *restarts) next(now time.Time) (delay time.Duration, reason string, again bool) {
	p := r.policy
	if *p.Attempts == 0 {
		return 0, "Policy allows no restarts", false
	}
	if r.since.IsZero() || now.Sub(r.since) > *p.Interval {
		r.since, r.used = now, 0
	}
	if r.used++; r.used <= *p.Attempts {
		return *p.Delay, "Restart within policy", true
	}
	if *p.Mode == "delay" {
		return max(r.since.Add(*p.Interval).Sub(now), *p.Delay), "Exceeded allowed attempts, waiting for the next interval", true
	}
	return 0, fmt.Sprintf("Exceeded allowed attempts %d in interval %v and mode is %q", *p.Attempts, *p.Interval, *p.Mode), false
}

// attempt starts the task once and waits for its end; true is an exit code of 0.
func (r *runner) attempt(ctx context.Context, t *api.Task) bool {
	if ctx.Err() != nil {
		return false
	}
	if t.Driver != "raw_exec" {
		return r.pretend(ctx, t)
	}
	runtime.LockOSThread() // dieWithParent is about the thread that started the child
	defer runtime.UnlockOSThread()
	cmd, err := r.command(t)
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		text := fmt.Sprintf("failed to launch command with executor: %v", err)
		e := newEvent(api.TaskDriverFailure, text, map[string]string{"driver_error": text})
		e.DriverError = text
		r.event(t, nil, e)
		return false
	}
	r.started(t)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-ctx.Done():
		r.kill(t, cmd.Process.Pid, ended)
	}
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	return r.terminated(t, cmd.ProcessState)
}

// pretend is a task without a process: of a driver that this Nomad does not have, or
// of Nomad's own mock_driver, which ends after run_for with exit_code.
func (r *runner) pretend(ctx context.Context, t *api.Task) bool {
	r.started(t)
	var over <-chan time.Time // never, if it is nil
	if d := runFor(t); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-ctx.Done():
		r.killing(t)
		return false
	case <-over:
		code, _ := t.Config["exit_code"].(float64)
		return r.exited(t, int(code), 0)
	}
}

// runFor is 0 for a task that runs until it is told to stop.
func runFor(t *api.Task) time.Duration {
	text, _ := t.Config["run_for"].(string)
	d, err := time.ParseDuration(text)
	if t.Driver != "mock_driver" || err != nil {
		return 0
	}
	return d
}

func (r *runner) started(t *api.Task) {
	r.event(t, func(st *api.TaskState) {
		st.State, st.StartedAt = "running", time.Now()
	}, newEvent(api.TaskStarted, "Task started by client", nil))
}

func (r *runner) killing(t *api.Task) {
	e := newEvent(api.TaskKilling, fmt.Sprintf("Sent interrupt. Waiting %v before force killing", *t.KillTimeout), map[string]string{"kill_timeout": t.KillTimeout.String()})
	e.KillTimeout = *t.KillTimeout
	r.event(t, nil, e)
}

// kill asks the process group to end, and makes it end after the kill timeout.
func (r *runner) kill(t *api.Task, pid int, ended <-chan error) {
	r.killing(t)
	syscall.Kill(-pid, signalOf(t.KillSignal))
	timer := time.NewTimer(*t.KillTimeout)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		syscall.Kill(-pid, syscall.SIGKILL)
		<-ended
	}
}

func (r *runner) terminated(t *api.Task, end *os.ProcessState) bool {
	code, signal := end.ExitCode(), 0
	if ws, ok := end.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		signal = int(ws.Signal())
		code = 128 + signal
	}
	return r.exited(t, code, signal)
}

func (r *runner) exited(t *api.Task, code, signal int) bool {
	text := fmt.Sprintf("Exit Code: %d", code)
	if signal != 0 {
		text += fmt.Sprintf(", Signal: %d", signal)
	}
	e := newEvent(api.TaskTerminated, text, map[string]string{"exit_code": strconv.Itoa(code), "signal": strconv.Itoa(signal), "oom_killed": "false"})
	e.ExitCode, e.Signal = code, signal
	r.event(t, nil, e)
	return code == 0
}

var signals = map[string]syscall.Signal{
	"SIGHUP": syscall.SIGHUP, "SIGINT": syscall.SIGINT, "SIGKILL": syscall.SIGKILL, "SIGQUIT": syscall.SIGQUIT,
	"SIGTERM": syscall.SIGTERM, "SIGUSR1": syscall.SIGUSR1, "SIGUSR2": syscall.SIGUSR2,
}

// signalOf is the kill_signal of a task; raw_exec's default is an interrupt.
func signalOf(name string) syscall.Signal {
	if s, ok := signals[name]; ok {
		return s
	}
	return syscall.SIGINT
}

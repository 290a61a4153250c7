package nomad

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/nomad/api"
)

// failureLines is how many lines of stderr a Failure shows.
const failureLines = 10

// Failure is why a task failed last.
type Failure struct {
	AllocID, Node, Task string
	Time                time.Time
	ExitCode            int      // 0 where the task did not get as far as to run
	Message             string   // Nomad's own words
	Stderr              []string // the last lines, where they can be read
}

// LastFailure is the newest failure of a task among the allocations; nil where
// none failed. A stderr that cannot be read is left out.
func (c *Client) LastFailure(ctx context.Context, allocs []*api.AllocationListStub) (*Failure, error) {
	f := newestFailure(allocs)
	if f == nil {
		return nil, nil
	}
	lines, err := c.Tail(ctx, f.AllocID, f.Task, "stderr", failureLines)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	f.Stderr = lines
	return f, nil
}

func newestFailure(allocs []*api.AllocationListStub) *Failure {
	var all []*Failure
	for _, a := range allocs {
		for task, state := range a.TaskStates {
			if e := lastFailed(state.Events); e != nil {
				all = append(all, &Failure{
					AllocID: a.ID, Node: a.NodeName, Task: task,
					Time: time.Unix(0, e.Time), ExitCode: exitCode(e), Message: message(e),
				})
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	return slices.MaxFunc(all, func(a, b *Failure) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.AllocID, b.AllocID), cmp.Compare(a.Task, b.Task))
	})
}

// lastFailed is the newest event that says a failure. A task that ends because it
// was told to has not failed, whatever its exit code.
func lastFailed(events []*api.TaskEvent) *api.TaskEvent {
	var last *api.TaskEvent
	told := false
	for _, e := range events {
		switch e.Type {
		case api.TaskStarted:
			told = false
		case api.TaskKilling, api.TaskRestartSignal:
			told = true
		case api.TaskTerminated:
			if !told && (exitCode(e) != 0 || cmp.Or(e.Details["signal"], "0") != "0") {
				last = e
			}
		case api.TaskDriverFailure, api.TaskSetupFailure, api.TaskFailedValidation, api.TaskArtifactDownloadFailed:
			last = e
		}
	}
	return last
}

func exitCode(e *api.TaskEvent) int {
	if n, err := strconv.Atoi(e.Details["exit_code"]); err == nil {
		return n
	}
	return e.ExitCode
}

func message(e *api.TaskEvent) string { return cmp.Or(e.DisplayMessage, e.Message, e.Type) }

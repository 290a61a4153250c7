package gates

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/nomad"
)

// All asks gates side by side and gives their results in the order of the list.
// The first that fails ends the wait of the others, and so does a newer revision
// of the job; newer says which, empty if there is none. tell hears of each result
// as it comes, one at a time.
func All(ctx context.Context, n Nomad, c Change, list []policies.Gate, tell func(Result)) (results []Result, newer string) {
	ctx, stop := context.WithCancelCause(ctx)
	watching, enough := context.WithCancel(ctx)
	var watch, asked sync.WaitGroup
	if c.JobModifyIndex != 0 {
		watch.Go(func() {
			if newer = newerRevision(watching, n, c); newer != "" {
				stop(&stopError{newer})
			}
		})
	}
	results = make([]Result, len(list))
	var one sync.Mutex
	for i, g := range list {
		asked.Go(func() {
			r := Run(ctx, n, c, g)
			one.Lock()
			defer one.Unlock()
			if !r.Passed {
				_, r.Cancelled = errors.AsType[*stopError](context.Cause(ctx))
				stop(&stopError{fmt.Sprintf("gate %s failed", Title(g.Kind, g.Name))})
			}
			results[i] = r
			tell(r)
		})
	}
	asked.Wait()
	enough()
	watch.Wait()
	stop(nil)
	if !slices.ContainsFunc(results, func(r Result) bool { return !r.Passed }) {
		newer = "" // it came too late to matter
	}
	return results, newer
}

// newerRevision waits until somebody else has registered, stopped or removed the
// job, and says so; empty when ctx ends before.
func newerRevision(ctx context.Context, n Nomad, c Change) string {
	var index uint64
	for ctx.Err() == nil {
		j, next, err := n.WatchJob(ctx, c.ID, index)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, nomad.ErrNotFound):
			return "the job was removed from Nomad meanwhile"
		case err != nil: // no verdict on the job; what the gates see of it is theirs to tell
			wait(ctx, faultWait)
		case value(j.JobModifyIndex) == c.JobModifyIndex:
			index = next
		case value(j.Stop):
			return "the job was stopped by somebody else meanwhile"
		default:
			return fmt.Sprintf("a newer revision of the job (version %d) took over", value(j.Version))
		}
	}
	return ""
}

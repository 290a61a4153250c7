package controller

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// Order is what a person has seen and approved: a plan, and what was asked for it.
type Order struct {
	Saved     reconcile.Saved
	Selection reconcile.Selection
	Sync      reconcile.Sync
	By        string
}

// Outcome is what became of an Order.
type Outcome struct {
	Moved  []byte        // the agent's own plan, as reconcile.Save writes it, where it is another one: then nothing was done
	Runs   []history.Run // in the order of the plan's jobs
	Errors []string      // of jobs that could not be worked at
}

// Carry does what a person has approved, if the agent's own plan of now is the same.
// progress is told of the steps; it is called by several goroutines, one at a time.
func (a *Agent) Carry(ctx context.Context, o Order, progress func(reconcile.Event)) (Outcome, error) {
	ctx, end := a.untilParked(ctx)
	defer end()
	a.mu.Lock()
	setup := a.setup
	a.mu.Unlock()
	planner := *setup.Planner
	planner.Whole = true
	result, err := planner.Plan(ctx, o.Selection, o.Sync)
	if err != nil {
		return Outcome{}, err
	}
	data, err := reconcile.Save(o.Saved.Asked, setup.PolicyFiles, result.Plans)
	if err != nil {
		return Outcome{}, err
	}
	now, err := reconcile.LoadSaved(data) // numbers as a file has them
	if err != nil {
		return Outcome{}, err
	}
	if o.Saved.Against(now).Any() {
		return Outcome{Moved: data}, nil
	}
	var mu sync.Mutex
	applier := setup.Applier.For("apply", o.By, func(e reconcile.Event) {
		mu.Lock()
		defer mu.Unlock()
		progress(e)
	})
	return a.carryAll(ctx, applier, setup, result.Plans), nil
}

// untilParked: the agent's end waits for a person's runs too, and parks them like its own.
func (a *Agent) untilParked(ctx context.Context) (context.Context, context.CancelFunc) {
	a.init()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-ctx.Done():
		case <-a.parking:
			cancel()
		}
	}()
	return ctx, cancel
}

// carryAll runs the plans, as many at once as the limit says. Each is claimed first, so
// that the agent itself leaves the job alone meanwhile.
func (a *Agent) carryAll(ctx context.Context, applier *reconcile.Applier, setup Setup, plans []reconcile.Plan) Outcome {
	runs, errs := make([]*history.Run, len(plans)), make([]error, len(plans))
	var g errgroup.Group
	g.SetLimit(max(setup.Concurrency, 1))
	for i, p := range plans {
		g.Go(func() error {
			release, err := a.claim(p)
			if err != nil {
				errs[i] = err
				return nil
			}
			run, err := applier.Apply(ctx, p)
			release(run)
			if errs[i] = err; err == nil || run.Open {
				runs[i] = &run
			}
			return nil
		})
	}
	_ = g.Wait()
	var out Outcome
	for i := range plans {
		if runs[i] != nil {
			out.Runs = append(out.Runs, *runs[i])
		}
		if errs[i] != nil {
			out.Errors = append(out.Errors, errs[i].Error())
		}
	}
	return out
}

// claim takes a job for a person's run, if the agent runs nothing on it. A look that is
// under way does not matter: another one comes when the run has ended.
func (a *Agent) claim(p reconcile.Plan) (release func(history.Run), err error) {
	if !p.Does() {
		return func(history.Run) {}, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id := p.ID
	if k := a.jobs[id]; k != nil && k.status.Running {
		return nil, fmt.Errorf("job %s is being changed by the agent: wait until it is done, then try again", id)
	}
	if a.ending { // it would be killed in the middle
		return nil, fmt.Errorf("job %s: the agent is stopping, nothing was done: try again when it has ended", id)
	}
	a.todo.drop(id)
	claimed := a.queue.claim(key{id: id}, a.now())
	a.running++
	a.setRunning(id, true)
	return func(run history.Run) {
		a.mu.Lock()
		defer a.mu.Unlock()
		defer a.wake()
		a.running--
		if claimed {
			a.queue.done(key{id: id}, a.now())
		}
		a.setRunning(id, false)
		if run.ID != "" {
			a.Metrics.Run(run)
			a.Log.Info("run", "job", id.String(), "run", run.ID, "result", run.Result, "reason", run.Reason, "by", run.By)
			a.provedElsewhere(run)
		}
		a.push(id)
	}, nil
}

func (a *Agent) setRunning(id job.ID, is bool) {
	if k := a.jobs[id]; k != nil {
		k.status.Running, k.ran = is, a.pass.number
	}
	a.changed()
}

package gates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"
	"golang.org/x/sync/errgroup"

	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// defaultMinHealthy is Nomad's own default of an update block.
const defaultMinHealthy = 10 * time.Second

// view is all that the deployment gate judges by.
type view struct {
	eval        *api.Evaluation
	deployments []*api.Deployment
	allocs      []*api.AllocationListStub // of the changed version
}

type verdict int

const (
	waiting verdict = iota
	steady          // healthy if it stays so for min_healthy_time
	passed
	failed
	person    // as far as it goes by itself; a person has to let it go on
	overtaken // a newer revision of the job took over
)

// Deploy asks the deployment gate, which every change passes.
func Deploy(ctx context.Context, n Nomad, c Change) Result {
	start := time.Now()
	says, detail := deployed(ctx, n, c)
	return Result{
		Kind: "deployment", Passed: says == passed || says == person, NeedsPerson: says == person,
		Cancelled: says == overtaken, Overtaken: says == overtaken,
		Detail: job.RedactText(detail), Duration: time.Since(start),
	}
}

func deployed(ctx context.Context, n Nomad, c Change) (verdict, string) {
	if why, nothing := nothingToRun(c.Job); nothing {
		return passed, why
	}
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	views, newer := make(chan view), make(chan string, 1)
	g, watching := errgroup.WithContext(watching)
	watchAll(watching, g, n, c, views)
	if c.JobModifyIndex != 0 {
		g.Go(func() error {
			newer <- newerRevision(watching, n, c)
			return nil
		})
	}
	says, detail := follow(watching, c, views, newer)
	cancel()
	_ = g.Wait() // follow has told the fault
	if says == failed && !errors.Is(ctx.Err(), context.Canceled) {
		detail = withFailure(ctx, n, c, detail)
	}
	return says, detail
}

// nothingToRun: such a change passes at once.
func nothingToRun(j *api.Job) (string, bool) {
	switch {
	case value(j.Stop):
		return "the job is stopped", true
	case j.Periodic != nil || j.ParameterizedJob != nil:
		return "takes effect at the next launch", true
	case Count(j) == 0:
		return "count is 0, nothing to run", true
	}
	return "", false
}

// Count is how many allocations the groups of a job ask for.
func Count(j *api.Job) int {
	n := 0
	for _, g := range j.TaskGroups {
		if g.Count == nil {
			n++
		} else {
			n += *g.Count
		}
	}
	return n
}

// The deployment gate waits until Nomad calls the change healthy: by the deployment
// that it made for it, or where there is none, by the allocations themselves.

// watchAll sends a new view whenever Nomad says that something moved.
func watchAll(ctx context.Context, g *errgroup.Group, n Nomad, c Change, out chan<- view) {
	parts := make(chan func(*view))
	watch(ctx, g, parts, func(ctx context.Context, index uint64) (func(*view), uint64, error) {
		allocs, next, err := n.Allocations(ctx, c.ID, index)
		return func(v *view) { v.allocs = fresh(allocs, c.version()) }, next, err
	})
	watch(ctx, g, parts, func(ctx context.Context, index uint64) (func(*view), uint64, error) {
		deployments, next, err := n.Deployments(ctx, c.ID, index)
		return func(v *view) { v.deployments = deployments }, next, err
	})
	if c.EvalID != "" {
		id := c.EvalID
		watch(ctx, g, parts, func(ctx context.Context, index uint64) (func(*view), uint64, error) {
			eval, next, err := n.Evaluation(ctx, id, index)
			if err == nil && eval.NextEval != "" {
				id, next = eval.NextEval, 0
			}
			return func(v *view) { v.eval = eval }, next, err
		})
	}
	g.Go(func() error {
		var v view
		for {
			select {
			case <-ctx.Done():
				return nil
			case set := <-parts:
				set(&v)
			}
			select {
			case <-ctx.Done():
				return nil
			case out <- v:
			}
		}
	})
}

// watchError is a fault that ended a watch, told from one that ended the wait.
type watchError struct{ error }

// faultWait is the pause after a Nomad that did not answer: a restart of the
// server in the middle of a wait is no verdict on the job.
const faultWait = time.Second

func watch(ctx context.Context, g *errgroup.Group, parts chan<- func(*view), ask func(context.Context, uint64) (func(*view), uint64, error)) {
	g.Go(func() error {
		var index uint64
		for ctx.Err() == nil {
			set, next, err := ask(ctx, index)
			// A follow-up evaluation is named before it can be read.
			if errors.Is(err, nomad.ErrUnreachable) || errors.Is(err, nomad.ErrNotFound) {
				wait(ctx, faultWait)
				continue
			}
			if err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return watchError{err}
			}
			index = next
			select {
			case parts <- set:
			case <-ctx.Done():
			}
		}
		return nil
	})
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// overtakenGrace is how long the two signs of a newer revision, the job and the
// deployment, may lie apart.
const overtakenGrace = 10 * time.Second

// follow judges each view until one decides, or until a steady one has stayed
// so long enough, or ctx ends; it does not say waiting or steady. A job that moved
// ends it, unless that may be Nomad's own revert, of which the deployment tells.
func follow(ctx context.Context, c Change, views <-chan view, newer <-chan string) (verdict, string) {
	last, moved := "no news from Nomad", ""
	var restarts int
	var healthy, late <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return failed, ending(ctx, last)
		case <-healthy:
			return passed, last
		case <-late:
			return overtaken, cmp.Or(moved, last)
		case moved = <-newer:
			if moved != "" && (late != nil || !reverts(c.Job)) {
				return overtaken, moved
			}
			late = time.After(overtakenGrace)
		case v := <-views:
			var says verdict
			says, last = judge(c, v)
			switch says {
			case passed, failed, person:
				return says, last
			case overtaken:
				if moved != "" {
					return overtaken, moved
				}
				late = cmp.Or(late, time.After(overtakenGrace))
			case waiting:
				healthy = nil
			case steady:
				if now := restartsOf(v.allocs); healthy == nil || now != restarts {
					restarts, healthy = now, time.After(minHealthy(c.Job))
				}
			}
		}
	}
}

// reverts: Nomad may register an older version by itself.
func reverts(j *api.Job) bool {
	return slices.ContainsFunc(j.TaskGroups, func(g *api.TaskGroup) bool { return g.Update != nil && value(g.Update.AutoRevert) })
}

// ending says why a wait ended without a verdict.
func ending(ctx context.Context, last string) string {
	if fault, ok := context.Cause(ctx).(watchError); ok {
		return fault.Error()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "not healthy before the deadline: " + last
	}
	return "interrupted: " + last
}

// judge is the gate's verdict on one view; it reads nothing else.
func judge(c Change, v view) (verdict, string) {
	if d := ofChange(v.deployments, c.JobModifyIndex); d != nil {
		return judgeDeployment(c, d, v)
	}
	if newer := newerDeployment(v.deployments, c.JobModifyIndex); newer != nil {
		return overtaken, fmt.Sprintf("a newer revision of the job (version %d) took over", newer.JobVersion)
	}
	if v.eval == nil && c.EvalID != "" || v.eval != nil && v.eval.Status == "pending" {
		return waiting, "waiting for the scheduler"
	}
	if v.eval != nil && v.eval.DeploymentID != "" && !known(v.deployments, v.eval.DeploymentID) {
		return waiting, "waiting for the deployment"
	}
	return judgeAllocations(c, v)
}

// ofChange: deployments are told apart by the spec that they deploy.
func ofChange(ds []*api.Deployment, index uint64) *api.Deployment {
	for _, d := range ds {
		if d.JobSpecModifyIndex == index {
			return d
		}
	}
	return nil
}

// known: a deployment that is listed, and so not the change's. After a deployment of
// a system job has failed, Nomad makes no other and names the failed one.
func known(ds []*api.Deployment, id string) bool {
	return slices.ContainsFunc(ds, func(d *api.Deployment) bool { return d.ID == id })
}

func newerDeployment(ds []*api.Deployment, index uint64) *api.Deployment {
	for _, d := range ds {
		if d.JobSpecModifyIndex > index {
			return d
		}
	}
	return nil
}

func judgeDeployment(c Change, d *api.Deployment, v view) (verdict, string) {
	switch d.Status {
	case api.DeploymentStatusSuccessful:
		return placedAll(c, d, v)
	case api.DeploymentStatusCancelled:
		return overtaken, strings.TrimSuffix(d.StatusDescription, ".")
	case api.DeploymentStatusFailed:
		return failed, strings.TrimSuffix(d.StatusDescription, ".")
	}
	for _, a := range v.allocs {
		if a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil && !*a.DeploymentStatus.Healthy && !willRevert(d) {
			return failed, fmt.Sprintf("allocation %s is unhealthy", short(a.ID))
		}
	}
	if why := Waits(d); why != "" {
		return person, why
	}
	if why := blocked(v.eval, c.Job); why != "" {
		return waiting, why
	}
	return waiting, counts(d)
}

// placedAll: the deployment of a system job succeeds also where there was no room.
func placedAll(c Change, d *api.Deployment, v view) (verdict, string) {
	if value(c.Job.Type) == api.JobTypeSystem {
		if v.eval == nil && c.EvalID != "" {
			return waiting, "waiting for the scheduler"
		}
		if why := blocked(v.eval, c.Job); why != "" {
			return waiting, why
		}
		if len(v.allocs) == 0 {
			return waiting, "no allocation is placed"
		}
	}
	return passed, counts(d)
}

// Waits says which person's word a deployment waits for, with the command; empty
// while it goes on by itself.
func Waits(d *api.Deployment) string {
	switch {
	case d.Status == api.DeploymentStatusPaused:
		return "the deployment is paused: " + command("resume", d)
	case d.Status == api.DeploymentStatusRunning && awaitsPromotion(d):
		return "waiting for promotion: " + command("promote", d)
	}
	return ""
}

func command(verb string, d *api.Deployment) string {
	text := "nomad deployment " + verb
	if d.Namespace != "" && d.Namespace != job.DefaultNamespace {
		text += " -namespace " + d.Namespace
	}
	return text + " " + short(d.ID)
}

// awaitsPromotion: all canaries are healthy, and so is what needs none. That nobody
// but a person promotes them is told by the description alone.
func awaitsPromotion(d *api.Deployment) bool {
	for _, s := range d.TaskGroups {
		want := s.DesiredTotal
		if s.DesiredCanaries > 0 && !s.Promoted {
			want = s.DesiredCanaries
		}
		if s.HealthyAllocs < want {
			return false
		}
	}
	return strings.Contains(d.StatusDescription, "requires manual promotion")
}

// willRevert: Nomad will mend it by itself and says how in the deployment's end.
func willRevert(d *api.Deployment) bool {
	for _, s := range d.TaskGroups {
		if s.AutoRevert {
			return true
		}
	}
	return false
}

func counts(d *api.Deployment) string {
	healthy, desired := 0, 0
	for _, s := range d.TaskGroups {
		healthy += s.HealthyAllocs
		desired += s.DesiredTotal
	}
	return fmt.Sprintf("%d of %d allocations healthy", healthy, desired)
}

// blocked says in words what Nomad found no room for.
func blocked(eval *api.Evaluation, j *api.Job) string {
	if eval == nil {
		return ""
	}
	return strings.Join(nomad.Unplaced(eval.FailedTGAllocs, j), "; ")
}

// judgeAllocations: without a deployment the allocations speak for themselves.
func judgeAllocations(c Change, v view) (verdict, string) {
	once := value(c.Job.Type) == api.JobTypeBatch || value(c.Job.Type) == api.JobTypeSysbatch
	running, complete := 0, 0
	for _, a := range v.allocs {
		switch a.ClientStatus {
		case api.AllocClientStatusFailed, api.AllocClientStatusLost:
			return failed, fmt.Sprintf("allocation %s is %s", short(a.ID), a.ClientStatus)
		case api.AllocClientStatusRunning:
			if between(a) {
				return waiting, fmt.Sprintf("allocation %s is restarting", short(a.ID))
			}
			running++
		case api.AllocClientStatusComplete:
			complete++
		}
	}
	want := max(1, Count(c.Job))
	if t := value(c.Job.Type); t == api.JobTypeSystem || t == api.JobTypeSysbatch {
		want = max(1, len(v.allocs))
	}
	says := fmt.Sprintf("%d of %d allocations running", running+complete, want)
	if once {
		says = fmt.Sprintf("%d of %d allocations running or complete", running+complete, want)
	}
	switch {
	case once && complete >= want:
		return passed, says
	case running+complete >= want && (once || complete == 0):
		return steady, says
	}
	if why := blocked(v.eval, c.Job); why != "" {
		return waiting, why
	}
	return waiting, says
}

// between: a crash loop shows "running" between restarts; its task is pending.
func between(a *api.AllocationListStub) bool {
	for _, t := range a.TaskStates {
		if t != nil && t.State == "pending" && t.Restarts > 0 {
			return true
		}
	}
	return false
}

func restartsOf(allocs []*api.AllocationListStub) int {
	n := 0
	for _, a := range allocs {
		for _, t := range a.TaskStates {
			if t != nil {
				n += int(t.Restarts)
			}
		}
	}
	return n
}

func minHealthy(j *api.Job) time.Duration {
	longest := time.Duration(-1)
	if t := value(j.Type); t == api.JobTypeBatch || t == api.JobTypeSysbatch {
		return defaultMinHealthy // the server gives them an update block that says 0
	}
	for _, g := range j.TaskGroups {
		u := g.Update
		if u == nil {
			u = j.Update
		}
		if u != nil && u.MinHealthyTime != nil {
			longest = max(longest, *u.MinHealthyTime)
		}
	}
	if longest < 0 {
		return defaultMinHealthy
	}
	return longest
}

// withFailure adds what the newest failed task of the change said.
func withFailure(ctx context.Context, n Nomad, c Change, detail string) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	allocs, _, err := n.Allocations(ctx, c.ID, 0)
	if err != nil {
		return detail
	}
	allocs = slices.DeleteFunc(allocs, func(a *api.AllocationListStub) bool { return a.JobVersion != c.version() })
	f, err := n.LastFailure(ctx, allocs)
	if err != nil || f == nil {
		return detail
	}
	detail += fmt.Sprintf("; task %s: %s", f.Task, strings.TrimSuffix(f.Message, "."))
	if len(f.Stderr) > 0 {
		detail += ": " + f.Stderr[len(f.Stderr)-1]
	}
	return detail
}

// Steady is asked after all other gates: the allocations that the deployment
// gate saw must still run, without another restart.
func Steady(ctx context.Context, n Nomad, c Change, before []*api.AllocationListStub) (bool, string) {
	allocs, _, err := n.Allocations(ctx, c.ID, 0)
	for errors.Is(err, nomad.ErrUnreachable) && ctx.Err() == nil {
		wait(ctx, faultWait)
		allocs, _, err = n.Allocations(ctx, c.ID, 0)
	}
	if err != nil {
		return false, err.Error()
	}
	now := map[string]*api.AllocationListStub{}
	for _, a := range allocs {
		now[a.ID] = a
	}
	for _, old := range before {
		a := now[old.ID]
		if a == nil || a.ClientStatus == api.AllocClientStatusFailed || a.ClientStatus == api.AllocClientStatusLost {
			return false, withFailure(ctx, n, c, fmt.Sprintf("allocation %s did not last", short(old.ID)))
		}
		if restartsOf([]*api.AllocationListStub{a}) > restartsOf([]*api.AllocationListStub{old}) {
			return false, withFailure(ctx, n, c, fmt.Sprintf("allocation %s restarted after it was healthy", short(old.ID)))
		}
	}
	return true, ""
}

// Fresh are the allocations of a change that Nomad wants to run.
func Fresh(ctx context.Context, n Nomad, c Change) ([]*api.AllocationListStub, error) {
	allocs, _, err := n.Allocations(ctx, c.ID, 0)
	return fresh(allocs, c.version()), err
}

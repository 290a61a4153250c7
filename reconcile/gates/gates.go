// Package gates holds the checks around a change: one file per kind. A gate
// looks and waits; none but dispatch changes anything.
package gates

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/policies"
	"nomad-reconcile/state/job"
	"nomad-reconcile/state/nomad"
)

// Nomad is what gates ask of the live side; *nomad.Client answers.
type Nomad interface {
	Job(ctx context.Context, id job.ID) (*api.Job, error)
	WatchJob(ctx context.Context, id job.ID, index uint64) (*api.Job, uint64, error)
	Allocation(ctx context.Context, id string) (*api.Allocation, error)
	Node(ctx context.Context, id string) (*api.Node, error)
	Services(ctx context.Context, namespace, name string) ([]*api.ServiceRegistration, error)
	Checks(ctx context.Context, alloc string) (api.AllocCheckStatuses, error)
	Dispatch(ctx context.Context, id job.ID, meta map[string]string, payload []byte) (child string, err error)
	Force(ctx context.Context, id job.ID) (child string, err error)
	Allocations(ctx context.Context, id job.ID, index uint64) ([]*api.AllocationListStub, uint64, error)
	Deployments(ctx context.Context, id job.ID, index uint64) ([]*api.Deployment, uint64, error)
	Evaluation(ctx context.Context, id string, index uint64) (*api.Evaluation, uint64, error)
	LastFailure(ctx context.Context, allocs []*api.AllocationListStub) (*nomad.Failure, error)
	// Logs also ends what it gives to read when ctx ends.
	Logs(ctx context.Context, alloc, task, stream string, follow bool) (io.ReadCloser, error)
}

// Change is the register that gates look at.
type Change struct {
	ID             job.ID
	Job            *api.Job // as Nomad has it after the register
	JobModifyIndex uint64
	EvalID         string // empty: the evaluation is not known, or there is none
}

// version is the job version whose allocations are the new ones.
func (c Change) version() uint64 {
	if c.Job.Version == nil {
		return 0
	}
	return *c.Job.Version
}

// Result is what a gate saw.
type Result struct {
	Kind     string
	Name     string
	Passed   bool
	Detail   string // what it saw, in one line, without secrets
	Duration time.Duration

	Cancelled   bool // it did not pass, and was not waited for either
	Overtaken   bool // by a newer revision of the job; Detail says which
	NeedsPerson bool // it passed as far as it goes; Detail says who has to do what
}

// Gate is one check after a change. It ends when ctx does, at the latest after
// the seconds that it takes to ask why a deployment missed its deadline; a fault
// of its own is a failure with that detail.
type Gate interface {
	Check(ctx context.Context, n Nomad, c Change) (passed bool, detail string)
}

// Kinds are the gate kinds that a rollout may name, with the decoders of their
// bodies: what policies.Load asks for. environ, NAME=value, is what command gates
// may hand on by name; without it, nothing.
func Kinds(environ ...string) map[string]policies.Kind {
	return map[string]policies.Kind{
		"command": func(_ string, body hcl.Body) (any, hcl.Diagnostics) { return decodeCommand(environ, body) },

		"http":     decodeHTTP,
		"job":      decodeJob,
		"logs":     decodeLogs,
		"dispatch": decodeDispatch,
		"service":  decodeService,
		"sudoers":  decodeSudoers,
		"tcp":      decodeTCP,
	}
}

// Run asks one gate of a rollout.
func Run(ctx context.Context, n Nomad, c Change, g policies.Gate) Result {
	gate, ok := g.Spec.(Gate)
	if !ok { // a decoder of Kinds gave something else: a mistake of this package
		return Result{Kind: g.Kind, Name: g.Name, Detail: fmt.Sprintf("a %s gate cannot be asked", g.Kind)}
	}
	start := time.Now()
	passed, detail := gate.Check(ctx, n, c)
	return Result{Kind: g.Kind, Name: g.Name, Passed: passed, Detail: job.RedactText(detail), Duration: time.Since(start)}
}

// Title is how a gate is called in a plan: its kind and name.
func Title(kind, name string) string { return strings.TrimSpace(kind + " " + name) }

// fresh are the allocations of the changed version that Nomad wants to run.
func fresh(allocs []*api.AllocationListStub, version uint64) []*api.AllocationListStub {
	var out []*api.AllocationListStub
	for _, a := range allocs {
		if a.JobVersion == version && a.DesiredStatus == api.AllocDesiredStatusRun && a.NextAllocation == "" {
			out = append(out, a)
		}
	}
	return out
}

func short(id string) string { return id[:min(8, len(id))] }

func value[T any](p *T) T {
	var zero T
	if p == nil {
		return zero
	}
	return *p
}

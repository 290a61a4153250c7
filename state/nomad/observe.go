package nomad

import (
	"context"
	"slices"
	"time"
)

// waits ends the name of a read that Nomad may hold until something moves: how long
// it took says nothing about how quick Nomad is.
const waits = "_wait"

// Calls are the names that Observe can get, sorted.
func Calls() []string {
	return slices.Clone(calls)
}

var calls = []string{
	"allocation_read",
	"allocations_list",
	"allocations_list" + waits,
	"checks_read",
	"deployments_list",
	"deployments_list" + waits,
	"evaluation_read",
	"evaluation_read" + waits,
	"evaluations_list",
	"events_check",
	"events_follow",
	"job_dispatch",
	"job_force",
	"job_plan",
	"job_read",
	"job_read" + waits,
	"job_register",
	"job_stop",
	"jobs_list",
	"jobs_parse",
	"logs_read",
	"node_read",
	"service_read",
	"submission_read",
}

// answered makes what a request came to an error of ours, and tells Observe.
func (c *Client) answered(ctx context.Context, what call, asked time.Time, err error) error {
	if err != nil {
		err = c.fail(ctx, what, err)
	}
	if c.Observe != nil {
		c.Observe(what.name, time.Since(asked), err)
	}
	return err
}

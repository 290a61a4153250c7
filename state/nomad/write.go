package nomad

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/nomad/api"

	"nomad-reconcile/state/job"
)

// Registration is what Nomad answered to a register or a stop.
type Registration struct {
	EvalID         string // empty for periodic and parameterized jobs
	JobModifyIndex uint64 // the index for the next check-and-set; unmoved where nothing changed
	Warnings       string
}

// Submission is the source that Nomad keeps with a version of a job; nil where it
// keeps none. It may be inherited from an older version. Each read makes a server
// decode the values of VariableFlags once more, in what it keeps: `+` becomes a space,
// and at a `%` it may refuse, which is nil too.
func (c *Client) Submission(ctx context.Context, id job.ID, version uint64) (*api.JobSubmission, error) {
	sub, err := read(ctx, c, jobCall("submission_read", "reading the submission of", id, "read-job"), func(q *api.QueryOptions) (*api.JobSubmission, *api.QueryMeta, error) {
		return c.api.Jobs().Submission(id.Name, int(version), q)
	})
	if errors.Is(err, ErrNotFound) || err != nil && strings.Contains(err.Error(), "invalid URL escape") {
		return nil, nil
	}
	return sub, err
}

// Plan asks the server what registering j would change, without doing it.
func (c *Client) Plan(ctx context.Context, j *api.Job) (*api.JobPlanResponse, error) {
	return write(ctx, c, jobCall("job_plan", "planning job", idOf(j), "submit-job"), func(w *api.WriteOptions) (*api.JobPlanResponse, *api.WriteMeta, error) {
		return c.api.Jobs().PlanOpts(j, &api.PlanOptions{Diff: true}, w)
	})
}

// Parse is the server's own reading of a job file, without defaults filled in. A
// refusal is an Error whose reason is the server's text.
func (c *Client) Parse(ctx context.Context, ns string, sub *api.JobSubmission) (*api.Job, error) {
	variables, err := allVariables(sub)
	if err != nil {
		return nil, &Error{Op: "parsing", Subject: "the job file", Err: err}
	}
	req := &api.JobsParseRequest{JobHCL: sub.Source, Variables: variables}
	what := call{name: "jobs_parse", op: "parsing", subject: "the job file", namespace: ns, needs: "parse-job"}
	return write(ctx, c, what, func(w *api.WriteOptions) (*api.Job, *api.WriteMeta, error) {
		var out api.Job
		meta, err := c.api.Raw().Write("/v1/jobs/parse", req, &out, w)
		return &out, meta, err
	})
}

// Register registers j with its source, provided that the live job's
// JobModifyIndex is index; 0 demands that there is no such job. Otherwise the
// error matches ErrConflict and nothing has happened. Without a submission Nomad
// keeps that of the version which j.Version names.
func (c *Client) Register(ctx context.Context, j *api.Job, sub *api.JobSubmission, index uint64) (Registration, error) {
	return c.register(ctx, jobCall("job_register", "registering job", idOf(j), "submit-job"), j, sub, index)
}

// Stop stops the live job as read, provided that its JobModifyIndex is still
// index. It registers the job with Stop set: Nomad's delete call has no check.
// The submission stays.
func (c *Client) Stop(ctx context.Context, live *api.Job, index uint64) (Registration, error) {
	stopped := job.Clone(live)
	stopped.Stop = new(true)
	return c.register(ctx, jobCall("job_stop", "stopping job", idOf(live), "submit-job"), stopped, nil, index)
}

// Dispatch launches a parameterized job and gives the name of the job that this
// makes, in the same namespace.
func (c *Client) Dispatch(ctx context.Context, id job.ID, meta map[string]string, payload []byte) (string, error) {
	resp, err := write(ctx, c, jobCall("job_dispatch", "dispatching job", id, "dispatch-job"), func(w *api.WriteOptions) (*api.JobDispatchResponse, *api.WriteMeta, error) {
		return c.api.Jobs().Dispatch(id.Name, meta, payload, "", w)
	})
	if err != nil {
		return "", err
	}
	return resp.DispatchedJobID, nil
}

// Force launches a periodic job now and gives the name of the job that this makes.
func (c *Client) Force(ctx context.Context, id job.ID) (string, error) {
	evalID, err := write(ctx, c, jobCall("job_force", "forcing job", id, "submit-job"), func(w *api.WriteOptions) (string, *api.WriteMeta, error) {
		return c.api.Jobs().PeriodicForce(id.Name, w)
	})
	if err != nil {
		return "", err
	}
	eval, _, err := c.Evaluation(ctx, evalID, 0)
	if err != nil {
		return "", err
	}
	return eval.JobID, nil
}

func (c *Client) register(ctx context.Context, what call, j *api.Job, sub *api.JobSubmission, index uint64) (Registration, error) {
	opts := &api.RegisterOptions{EnforceIndex: true, ModifyIndex: index, Submission: sub}
	resp, err := write(ctx, c, what, func(w *api.WriteOptions) (*api.JobRegisterResponse, *api.WriteMeta, error) {
		return c.api.Jobs().RegisterOpts(withNamespace(j), opts, w)
	})
	if err != nil {
		return Registration{}, err
	}
	out := Registration{EvalID: resp.EvalID, JobModifyIndex: resp.JobModifyIndex, Warnings: resp.Warnings}
	if resp.EvalID != "" && resp.EvalCreateIndex != resp.JobModifyIndex {
		// Nothing changed: Nomad then answers with ModifyIndex, which is not the
		// index that check-and-set compares.
		out.JobModifyIndex = index
	}
	return out, nil
}

// idOf is the identity that a job carries.
func idOf(j *api.Job) job.ID {
	var id job.ID
	if j.Namespace != nil {
		id.Namespace = *j.Namespace
	}
	if j.ID != nil {
		id.Name = *j.ID
	}
	return id
}

// withNamespace says the namespace where j leaves it to the default.
func withNamespace(j *api.Job) *api.Job {
	if j.Namespace != nil && *j.Namespace != "" {
		return j
	}
	out := *j
	out.Namespace = new(job.DefaultNamespace)
	return &out
}

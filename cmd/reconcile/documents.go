package main

import (
	"io"

	"nomad-reconcile/cmd/reconcile/report"
	"nomad-reconcile/reconcile"
	"nomad-reconcile/reconcile/controller"
	"nomad-reconcile/reconcile/controller/server"
)

// agentDocuments write what the agent answers: the documents of the verbs.
func agentDocuments() server.Encoders {
	return server.Encoders{
		Status: func(w io.Writer, o controller.Overview) error { return report.StatusJSON(w, report.StatusOf(o)) },
		Job: func(w io.Writer, d server.Job) error {
			return report.JobStatusJSON(w, report.JobStatusOf(d.Status, d.Plan, d.Runs))
		},
		Plans:   func(w io.Writer, plans []reconcile.Plan) error { return report.PlansJSON(w, plans, nil, nil) },
		Runs:    report.HistoryJSON,
		Queued:  report.QueuedJSON,
		Problem: report.ProblemJSON,
	}
}

// Package nomadtest is an in-process Nomad: one server and one node where
// everything fits, behind the part of the HTTP API that this project uses. Jobs have
// versions, submissions, evaluations, allocations and deployments as the real one
// has; raw_exec tasks are real processes, which end with the server. Tasks of other
// drivers run nothing, until they are told to stop. The contract suite of
// state/nomad holds it against a real agent.
//
// There is no scheduler (no constraints, no resources), no canaries, no health
// checks, no templates, no event stream and no variables.
//
// A tour: server.go (Start, Close), routes.go (HTTP, blocking queries), jobs.go
// (register), canonical.go (defaults), place.go (what a job needs), deployment.go
// (health and roll-back), alloc.go and task.go (processes), logs.go, plan.go and
// diff.go (dry-runs), faults.go.
package nomadtest

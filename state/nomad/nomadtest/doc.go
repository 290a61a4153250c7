// Package nomadtest is an in-process Nomad: one server and one node where
// everything fits, behind the part of the HTTP API that this project uses. Jobs have
// versions, submissions, evaluations, allocations and deployments as the real one
// has; raw_exec tasks are real processes, which end with the server. Tasks of other
// drivers run nothing, until they are told to stop: ten thousand jobs of the
// mock_driver need no process. Theirs end by themselves after run_for, with exit_code,
// as with Nomad's own. The contract suite of state/nomad holds it against a real agent.
//
// There is no scheduler (no constraints, no resources), no canaries, no health
// checks, no templates and no variables. The event stream has the topics of jobs, each
// event in a batch of its own; its types are Nomad's, but not always the same ones, and
// its payloads show the moment of the sending.
//
// A tour: server.go (Start, Close), routes.go (HTTP, blocking queries), jobs.go
// (register), canonical.go (defaults), place.go (what a job needs), deployment.go
// (health and roll-back), alloc.go and task.go (processes), logs.go, plan.go and
// diff.go (dry-runs), events.go (the stream), faults.go.
package nomadtest

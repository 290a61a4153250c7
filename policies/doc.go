// Package policies is the policy language: it loads *.policy.hcl files, holds a
// job against them, and gives back a verdict: what does not hold (findings),
// what would mend it (edits) and how the job is to be converged (rollout). It
// decides nothing about files or about Nomad, and does no I/O.
//
// The way of a policy: Load reads all files into a Set and reports every
// mistake at once; (*Set).Check selects the tasks that each policy matches,
// asks each invariant (sudo.go, env.go) for findings, merges their edits, and
// asks again with the edits made.
package policies

// Package policytest runs unit tests of policies: *.policytest.hcl files, each test
// of which is a job and what the policies are to find in it.
//
// The way of a test file: decode.go reads it and every file that it names, and
// reports all mistakes at once; run.go holds each test's job against the policies,
// on the very path that `check` takes; compare.go tells what was found from what was
// expected; coverage.go adds up which rules the tests have seen from both sides.
package policytest

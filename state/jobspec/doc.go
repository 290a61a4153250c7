// Package jobspec reads job files as Nomad does and edits them without touching
// another byte.
//
// Parse evaluates an HCL job file to the same *api.Job that `nomad job run
// -output` prints, without a server: one reflection walk over the syntax tree
// (decode.go) maps blocks and attributes to nomad/api by its `hcl` tags.
// (*File).Edit changes a file by splicing bytes, and accepts a result only if it
// parses again to exactly the job that was asked for: candidates may be guessed,
// the check decides.
package jobspec

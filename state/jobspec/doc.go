// Package jobspec reads job files as Nomad does and edits them without touching
// another byte.
//
// Parse evaluates an HCL job file to the same *api.Job that `nomad job run
// -output` prints, without a server: one reflection walk over the syntax tree
// (decode.go) maps blocks and attributes to nomad/api by its `hcl` tags.
// (*File).Edit changes a file by splicing bytes, and accepts a result only if it
// parses again to exactly the job that was asked for: candidates may be guessed,
// the check decides.
//
// Where it differs from Nomad 2.0.5, on purpose:
//   - A local that two `locals` blocks define is refused. Nomad accepts it, and
//     which of the two another local sees differs from one run to the next.
//   - HCL's own JSON syntax ({"job": {"NAME": {}}}) is refused: a job in JSON is
//     one of the two forms of `nomad job run -json`.
//   - uuidv4() and bcrypt() give another value each time, there as here.
package jobspec

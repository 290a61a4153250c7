// Package reconcile holds jobs the way policies say they must be. A pass reads
// as its files do:
//
//	observe   what the job files say, what Nomad runs, what the history remembers   (observe.go)
//	desire    policies against both, the edits they ask for, spliced and verified   (desire.go)
//	preview   Nomad's own dry-runs, which have the last word on "differs"           (preview.go)
//	decide    a pure table: findings, actions, gates, or a hold                     (decide.go)
//	apply     lock, snapshot, journal, backup, write, stop, register, gates, close  (apply.go)
//
// Everything up to decide looks and computes; only apply, rollback and settle
// change anything.
package reconcile

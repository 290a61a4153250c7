package controller

import (
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
	"nomad-reconcile/state/job"
)

// Status is what the agent knows of one job.
type Status struct {
	ID        job.ID
	File      string // as users see it; empty where no file declares the job
	Source    string // in its place, of a job that a source "nomad" names
	Condition reconcile.Condition
	Reason    string    // one line; empty where Condition says it all
	Next      []string  // what to do or to type; none where there is nothing to do
	Since     time.Time // when Condition became what it is
	Looked    time.Time // when the agent last worked it out
	Revision  history.Basis
	Version   *uint64      // of the live job; nil where Nomad does not know it
	Findings  int          // that no exception waives, of both sides
	LastRun   *history.Run // the newest; nil without one
	Running   bool         // a run of it is under way
	Queued    bool         // something moved, and it will be looked at again
}

// Overview is the agent as a whole.
type Overview struct {
	Serial   uint64 // another one whenever anything below is another
	Started  time.Time
	Ready    bool      // the first pass is done
	Passed   time.Time // when all that had moved was last worked through; zero before Ready
	Config   string    // hash of configuration, policies and variable files in force
	Loaded   time.Time // when these were loaded
	LoadErr  string    // why a newer one is not in force; empty if there is none
	NomadErr string    // why Nomad cannot be asked; empty while it answers
	FilesErr []string  // sources that cannot be read
	Polling  []string  // folders that cannot be watched and are polled
	Calm     time.Time // when the window of calm ends; zero outside of one
	Waiting  int       // jobs with changes that limits.max_changes keeps back until the next full pass
	Known    int       // jobs and files in all
	Left     int       // ... that have not been looked at since the start
	Jobs     []Status  // in the order of their IDs
}

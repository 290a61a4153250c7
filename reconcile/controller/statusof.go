package controller

import (
	"fmt"
	"time"

	"nomad-reconcile/reconcile"
	"nomad-reconcile/state/history"
)

// StatusOf is what a plan and the history say of a job; past are its runs, the newest
// first. Looked and Since are the caller's to know, but for what the last run says.
func StatusOf(p reconcile.Plan, past []history.Run) Status {
	s := Status{
		ID: p.ID, File: p.File, Source: p.Source, Condition: p.Condition, Reason: p.Reason, Next: nextOf(p), Revision: p.Basis,
	}
	if p.Live != nil {
		s.Version = new(p.Live.Version)
	}
	for _, n := range FindingsOf(p) {
		s.Findings += n
	}
	if len(past) > 0 {
		s.LastRun = new(past[0])
		s.Since = sinceRun(p.Condition, past[0])
	}
	return s
}

// sinceRun: some conditions come from a run and from nothing else.
func sinceRun(c reconcile.Condition, last history.Run) (since time.Time) {
	switch {
	case c == reconcile.Converging && last.Open:
		return last.Started
	case c == reconcile.Failed && last.Result == history.Failed:
		return last.Ended
	}
	return since
}

// nextOf is what a person may do about the job: what the plan itself says, else where
// to look. Of a job that the agent sees to itself there is nothing.
func nextOf(p reconcile.Plan) []string {
	var next []string
	if p.Hold != nil {
		next = append(next, p.Hold.Next)
	}
	next = append(next, p.Left...)
	switch {
	case p.Condition == reconcile.Denied:
		next = append(next, fmt.Sprintf("reconcile plan %s   (shows the findings)", p.ID))
	case p.Condition == reconcile.Degraded || p.Condition == reconcile.Failed && p.Hold == nil:
		next = append(next, fmt.Sprintf("reconcile doctor %s   (says why)", p.ID))
	}
	return next
}

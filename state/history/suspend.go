package history

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"nomad-reconcile/state/job"

	"github.com/gofrs/flock"
)

// Suspension keeps the agent from a job, or from all of them.
type Suspension struct {
	Job    string    `json:"job,omitempty"` // NAME, in any namespace, or NAME@NAMESPACE; empty for all jobs
	Reason string    `json:"reason"`
	By     string    `json:"by,omitempty"` // who said so
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until it is resumed
}

// All reports whether it is about all jobs.
func (s Suspension) All() bool { return s.Job == "" }

// Holds reports whether that job is suspended by it.
func (s Suspension) Holds(id job.ID) bool {
	return s.All() || id.Called(s.Job)
}

// Describe adds to a word such as "suspended" who did it and until when.
func (s Suspension) Describe(word string) string {
	if s.By != "" {
		word += " by " + s.By
	}
	if !s.Until.IsZero() {
		word += " until " + s.Until.UTC().Format("2006-01-02 15:04 UTC")
	}
	return word
}

// ended: from that moment on it counts no more.
func (s Suspension) ended(now time.Time) bool { return !s.Until.IsZero() && !now.Before(s.Until) }

// Suspensions are those in force: jobs in the order of their names, then that of all.
func (s *Store) Suspensions() ([]Suspension, error) {
	data, err := os.ReadFile(s.SuspendedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Suspension
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil { // who is suspended is not known: that nobody is would be a guess
		return nil, fmt.Errorf("reading which jobs are suspended: %w; mend %s, or remove it to resume all jobs", err, s.SuspendedFile())
	}
	now := s.clock()
	return slices.DeleteFunc(out, func(one Suspension) bool { return one.ended(now) }), nil
}

// Suspend puts suspensions in force, each in the place of an older one of the same
// job; their start is now. It returns after they are on disk.
func (s *Store) Suspend(added ...Suspension) error {
	return s.changeSuspended(func(have []Suspension) []Suspension {
		for _, one := range added {
			one.Since, one.Reason = s.clock().UTC(), job.RedactText(one.Reason)
			have = append(without(have, one.Job), one)
		}
		return have
	})
}

// Unsuspend ends the suspensions of those jobs, named as in Suspension.Job, and returns
// the ones that were in force.
func (s *Store) Unsuspend(jobs ...string) ([]Suspension, error) {
	var ended []Suspension
	err := s.changeSuspended(func(have []Suspension) []Suspension {
		for _, one := range have {
			if slices.Contains(jobs, one.Job) {
				ended = append(ended, one)
			}
		}
		return without(have, jobs...)
	})
	return ended, err
}

func without(list []Suspension, jobs ...string) []Suspension {
	return slices.DeleteFunc(slices.Clone(list), func(one Suspension) bool { return slices.Contains(jobs, one.Job) })
}

// SuspendedFile is where the suspensions are; it is there once there was one.
func (s *Store) SuspendedFile() string { return filepath.Join(s.dir, "suspended.json") }

// changeSuspended: of two processes that change it at once, neither loses what the
// other did; who reads meets the old file or the new one.
func (s *Store) changeSuspended(change func([]Suspension) []Suspension) error {
	lock := flock.New(filepath.Join(s.dir, "suspended.lock"), flock.SetPermissions(0o600))
	if err := lock.Lock(); err != nil {
		return fmt.Errorf("locking the list of suspended jobs: %w", err)
	}
	defer lock.Unlock()
	have, err := s.Suspensions()
	if err != nil {
		return err
	}
	now := change(have)
	slices.SortFunc(now, func(a, b Suspension) int {
		if a.All() != b.All() { // what is said of one job goes before what is said of all
			return cmp.Compare(b.Job, a.Job)
		}
		return cmp.Compare(a.Job, b.Job)
	})
	if err := s.writeSuspended(now); err != nil {
		return fmt.Errorf("writing which jobs are suspended: %w; nothing was changed", err)
	}
	return nil
}

func (s *Store) writeSuspended(list []Suspension) error {
	data, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return err
	}
	temp := filepath.Join(s.dir, ".suspended.new") // one is enough: the list is locked
	if err := os.RemoveAll(temp); err != nil {
		return err
	}
	if err := s.writeSynced(temp, append(data, '\n'), 0o600); err != nil {
		return errors.Join(err, os.RemoveAll(temp))
	}
	if err := os.Rename(temp, s.SuspendedFile()); err != nil {
		return err
	}
	return syncDir(s.dir)
}

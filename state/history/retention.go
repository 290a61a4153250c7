package history

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"nomad-reconcile/state/job"
)

// Prune removes, of each job, the runs beyond the store's limits of number and age.
// What somebody may still need stays, however old: open runs, the newest that has a
// backup, the newest that touched anything, and the newest that can be rolled back,
// with and without a file. A job that somebody works on is left for the next time.
func (s *Store) Prune(ctx context.Context) error {
	runs, _ := s.Runs(nil) // what cannot be read is said wherever runs are listed, and stays
	byJob := map[job.ID][]Run{}
	for _, r := range runs {
		byJob[r.Job] = append(byJob[r.Job], r)
	}
	var errs []error
	for id, list := range byJob {
		if len(s.beyond(list)) == 0 {
			continue
		}
		unlock, err := s.Lock(ctx, id)
		if _, busy := errors.AsType[*BusyError](err); busy {
			continue
		}
		if err == nil {
			err = s.prune(id) // which reads again: the job was not locked before
			unlock()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// prune removes the old runs of a job that is locked.
func (s *Store) prune(id job.ID) error {
	runs, _ := s.Runs(&id)
	for _, run := range s.beyond(runs) {
		if err := remove(filepath.Join(s.jobDir(id), run.ID)); err != nil {
			return fmt.Errorf("removing the old run %s: %w", run.ID, err)
		}
	}
	return nil
}

// beyond are those of one job's runs, the newest first, that may go.
func (s *Store) beyond(runs []Run) []Run {
	newest := func(is func(Run) bool) int { return slices.IndexFunc(runs, is) }
	needed := []int{
		newest(func(r Run) bool { return r.Backup != "" }),
		newest(func(r Run) bool { return r.Result.Touched() }),
		newest(Run.canGoBack),
		newest(func(r Run) bool { return r.canGoBack() && r.Backup != "" }),
	}
	var out []Run
	for i, run := range runs {
		if !run.Open && !slices.Contains(needed, i) && (i >= s.keep || s.tooOld(run)) {
			out = append(out, run)
		}
	}
	return out
}

// canGoBack: `rollback` brings back what was there before it.
func (r Run) canGoBack() bool { return r.Result.Touched() && r.Result != RolledBack }

func (s *Store) tooOld(r Run) bool {
	return s.keepFor > 0 && s.clock().Sub(r.Ended) > s.keepFor
}

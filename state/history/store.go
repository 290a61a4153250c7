package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"nomad-reconcile/state/job"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"
)

// Store is the history of all jobs below one folder. Its methods may be called
// from several goroutines and processes at once; Begin and a Journal's methods
// by the holder of the job's lock alone.
type Store struct {
	// BeforeWrite, where set, is asked before each write to disk; its error becomes the
	// write's. Faults are injected with it.
	BeforeWrite func() error

	dir     string
	keep    int
	keepFor time.Duration
	clock   func() time.Time
}

func (s *Store) mayWrite() error {
	if s.BeforeWrite == nil {
		return nil
	}
	return s.BeforeWrite()
}

// Open is the store in the folder dir, which is made if it is not there. keep is
// how many runs per job stay, at least 1.
func Open(dir string, keep int, clock func() time.Time) (*Store, error) {
	if keep < 1 {
		return nil, fmt.Errorf("opening the state folder %s: keep is %d, it must be at least 1", dir, keep)
	}
	if err := os.MkdirAll(filepath.Join(dir, "jobs"), 0o700); err != nil {
		return nil, fmt.Errorf("opening the state folder: %w; correct state.dir or the folder's permissions", err)
	}
	return &Store{dir: dir, keep: keep, clock: clock}, nil
}

// KeepFor also limits how long ended runs stay; 0, as at first, is no limit. It is
// called before the store is used.
func (s *Store) KeepFor(age time.Duration) { s.keepFor = age }

// BusyError says that somebody else runs something on a job now.
type BusyError struct {
	Job job.ID
	PID int // of the holder; 0 if not known
}

func (e *BusyError) Error() string {
	who := "another process"
	if e.PID != 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("job %s is being changed by %s: wait until it is done, then try again", e.Job, who)
}

// Lock makes the caller the only one who changes that job, on this machine, until
// unlock is called or the process ends. It does not wait: a held lock is a
// *BusyError.
func (s *Store) Lock(ctx context.Context, id job.ID) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.jobDir(id), 0o700); err != nil {
		return nil, fmt.Errorf("locking job %s: %w", id, err)
	}
	path := filepath.Join(s.jobDir(id), "lock")
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking job %s: %w", id, err)
	}
	if !got {
		return nil, &BusyError{Job: id, PID: holder(path)}
	}
	// A courtesy to whoever finds the job busy; the lock does not depend on it.
	_ = os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o600)
	return func() { _ = lock.Unlock() }, nil
}

func holder(path string) int {
	text, _ := os.ReadFile(path)
	pid, _ := strconv.Atoi(string(text))
	return pid
}

// Runs lists the runs of one job, or of all with nil, newest first. An error
// names every run that cannot be read; the others are returned beside it.
func (s *Store) Runs(id *job.ID) ([]Run, error) {
	dirs, err := s.jobDirs(id)
	if err != nil {
		return nil, err
	}
	var runs []Run
	var errs []error
	for _, dir := range dirs {
		found, err := s.runsIn(dir)
		runs, errs = append(runs, found...), append(errs, err)
	}
	slices.SortFunc(runs, newestFirst)
	return runs, errors.Join(errs...)
}

// Unfinished lists the open runs of all jobs, newest first: those that are
// running and those that were killed. Who holds the job's lock may tell them apart.
func (s *Store) Unfinished() ([]Run, error) {
	runs, err := s.Runs(nil)
	return slices.DeleteFunc(runs, func(r Run) bool { return !r.Open }), err
}

// Interrupted lists the open runs as Unfinished does, and reads of each job its last
// run alone: none but that can be open.
func (s *Store) Interrupted() ([]Run, error) {
	dirs, err := s.jobDirs(nil)
	if err != nil {
		return nil, err
	}
	var open []Run
	var errs []error
	for _, dir := range dirs {
		runs, err := subfolders(dir)
		if errs = append(errs, err); len(runs) == 0 {
			continue
		}
		run, err := s.readRun(slices.Max(runs))
		if _, gone := os.Stat(dir); err != nil && errors.Is(gone, fs.ErrNotExist) {
			continue
		}
		if errs = append(errs, err); err == nil && run.Open {
			open = append(open, run)
		}
	}
	slices.SortFunc(open, newestFirst)
	return open, errors.Join(errs...)
}

// Jobs are those that have runs, but for the ones that skip says are known.
func (s *Store) Jobs(skip func(fileName string) bool) ([]job.ID, error) {
	dirs, err := s.jobDirs(nil)
	if err != nil {
		return nil, err
	}
	var out []job.ID
	var errs []error
	for _, dir := range dirs {
		if skip(filepath.Base(dir)) {
			continue
		}
		runs, err := subfolders(dir)
		if errs = append(errs, err); len(runs) == 0 {
			continue
		}
		run, err := s.readRun(slices.Max(runs))
		if errs = append(errs, err); err == nil {
			out = append(out, run.Job)
		}
	}
	return out, errors.Join(errs...)
}

// Remember keeps what somebody wants to find again after a restart, under a name of
// his own; the last one stays. It is no part of the history.
func (s *Store) Remember(name string, data []byte) error {
	if err := s.mayWrite(); err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(s.dir, name), data, 0o600, renameio.WithTempDir(s.dir)); err != nil {
		return fmt.Errorf("writing %s in the state folder: %w", name, err)
	}
	return nil
}

// Recall is what was last remembered under that name; nil where nothing was.
func (s *Store) Recall(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Dir is the state folder, absolute.
func (s *Store) Dir() string { return s.dir }

// Hold makes the caller the only agent of this state folder, on this machine, until
// unlock is called or the process ends. A held lock is an error that says whose.
func (s *Store) Hold() (unlock func(), err error) {
	path := filepath.Join(s.dir, "agent.lock")
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the state folder %s: %w", s.dir, err)
	}
	if !got {
		return nil, fmt.Errorf("the agent of process %d holds the state folder %s already: end that one first, or give this one a state.dir of its own", holder(path), s.dir)
	}
	_ = os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())), 0o600)
	return func() { _ = lock.Unlock() }, nil
}

// Find is the run of that ID, or the only one whose ID begins so.
func (s *Store) Find(idOrPrefix string) (Run, error) {
	ids, err := s.runDirs()
	if err != nil {
		return Run{}, err
	}
	if dir, ok := ids[idOrPrefix]; ok {
		return s.readRun(dir)
	}
	var candidates []string
	for id := range ids {
		if idOrPrefix != "" && strings.HasPrefix(id, idOrPrefix) {
			candidates = append(candidates, id)
		}
	}
	switch len(candidates) {
	case 0:
		return Run{}, fmt.Errorf("there is no run %q: `reconcile history` lists them", idOrPrefix)
	case 1:
		return s.readRun(ids[candidates[0]])
	}
	slices.Sort(candidates)
	return Run{}, fmt.Errorf("%q begins the IDs of several runs; say which: %s", idOrPrefix, strings.Join(candidates, ", "))
}

// Load is what a run found and what it set out to make of it.
func (s *Store) Load(runID string) (Prior, Next, error) {
	var prior Prior
	var next Next
	ids, err := s.runDirs()
	if err != nil {
		return prior, next, err
	}
	dir, ok := ids[runID]
	if !ok {
		return prior, next, fmt.Errorf("there is no run %q: `reconcile history` lists them", runID)
	}
	if err := errors.Join(readJSON(dir, "prior.json", &prior), readJSON(dir, "next.json", &next)); err != nil {
		return Prior{}, Next{}, corrupt(dir, err)
	}
	return prior, next, nil
}

func newestFirst(a, b Run) int {
	if c := b.Started.Compare(a.Started); c != 0 {
		return c
	}
	return strings.Compare(b.ID, a.ID)
}

func (s *Store) jobDir(id job.ID) string { return filepath.Join(s.dir, "jobs", FileName(id)) }

func (s *Store) jobDirs(id *job.ID) ([]string, error) {
	if id != nil {
		return []string{s.jobDir(*id)}, nil
	}
	return subfolders(filepath.Join(s.dir, "jobs"))
}

// runDirs is the folder of every run, by the run's ID.
func (s *Store) runDirs() (map[string]string, error) {
	dirs, err := s.jobDirs(nil)
	if err != nil {
		return nil, err
	}
	ids := map[string]string{}
	for _, dir := range dirs {
		runs, err := subfolders(dir)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			ids[filepath.Base(run)] = run
		}
	}
	return ids, nil
}

func (s *Store) runsIn(jobDir string) ([]Run, error) {
	dirs, err := subfolders(jobDir)
	if err != nil {
		return nil, err
	}
	var runs []Run
	var errs []error
	for _, dir := range dirs {
		run, err := s.readRun(dir)
		if _, gone := os.Stat(dir); err != nil && errors.Is(gone, fs.ErrNotExist) {
			continue // another process made room meanwhile
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		runs = append(runs, run)
	}
	return runs, errors.Join(errs...)
}

func (s *Store) readRun(dir string) (Run, error) {
	var run Run
	if err := readJSON(dir, "run.json", &run); err != nil {
		return Run{}, corrupt(dir, err)
	}
	if run.ID != filepath.Base(dir) {
		return Run{}, corrupt(dir, fmt.Errorf("run.json is that of run %q", run.ID))
	}
	if run.BackupName != "" {
		run.Backup = filepath.Join(dir, filepath.Base(run.BackupName))
	}
	data, err := os.ReadFile(filepath.Join(dir, "journal"))
	if err != nil {
		return Run{}, corrupt(dir, err)
	}
	if _, err := replay(&run, data); err != nil {
		return Run{}, corrupt(dir, err)
	}
	return run, nil
}

func corrupt(dir string, err error) error {
	return fmt.Errorf("the record of run %s cannot be read: %w; move the folder %s away to go on without it", filepath.Base(dir), err, dir)
}

// subfolders are those that are runs or jobs: names with a dot in front are being
// made or removed. A folder that is not there has none.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

func readJSON(dir, name string, into any) error {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// FileName is a name for a job's folder or file, without anything that a file system
// or a shell could misread but a dash at its beginning: two jobs never share one.
func FileName(id job.ID) string {
	name := url.QueryEscape(id.Name)
	if rest, ok := strings.CutPrefix(name, "."); ok {
		name = "%2E" + rest
	}
	if id.Namespace != "" && id.Namespace != job.DefaultNamespace {
		name += "@" + url.QueryEscape(id.Namespace)
	}
	if len(name) > 200 { // file systems end at 255
		name = name[:150] + "@@" + Hash([]byte(name))
	}
	return name
}

// nameOf is the job's name that a FileName stands for; false where it was cut short.
func nameOf(fileName string) (name string, whole bool) {
	if strings.Contains(fileName, "@@") {
		return "", false
	}
	name, _, _ = strings.Cut(fileName, "@")
	name, err := url.QueryUnescape(name)
	return name, err == nil
}

package history

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nomad-reconcile/state/job"
)

// Journal is an open run. Every method returns after its line is on disk.
type Journal struct {
	store *Store
	run   Run
	file  appender
	size  int64 // of the lines that are known to be whole
}

// appender is what a journal needs of its file.
type appender interface {
	io.WriterAt
	Sync() error
	Truncate(size int64) error
	Close() error
}

// line is one event; of the pointers one is set.
type line struct {
	Intent *Intent     `json:"intent,omitempty"`
	Step   *Step       `json:"step,omitempty"`
	Gate   *GateResult `json:"gate,omitempty"`
	Close  *closing    `json:"close,omitempty"`
}

type closing struct {
	Ended        time.Time `json:"ended"`
	Result       Result    `json:"result"`
	Reason       string    `json:"reason,omitempty"`
	VersionAfter uint64    `json:"version_after"`
}

// Begin records a run before its first deed: when it returns, everything that is
// needed to undo or finish the run is on disk. It gives the run its ID and, where
// zero, its start; a file that will be written (run.NewFile) is backed up.
func (s *Store) Begin(run Run, prior Prior, next Next) (*Journal, error) {
	if run.Started.IsZero() {
		run.Started = s.clock()
	}
	run.Started, run.Open = run.Started.UTC(), true
	if run.NewFile != "" {
		run.BackupName = filepath.Base(prior.Path) + ".backup." + run.Started.Format("20060102_150405")
	}
	dir, err := s.create(&run, prior, next)
	if err != nil {
		return nil, fmt.Errorf("recording a run of job %s: %w; nothing was changed", run.Job, err)
	}
	if run.BackupName != "" {
		run.Backup = filepath.Join(dir, run.BackupName)
	}
	return s.open(run, dir)
}

// Resume continues an open run. A line that a crash tore is cut off.
func (s *Store) Resume(run Run) (*Journal, error) {
	if !run.Open {
		return nil, fmt.Errorf("run %s has ended: %s", run.ID, run.Result)
	}
	dir := filepath.Join(s.jobDir(run.Job), run.ID)
	run, err := s.readRun(dir) // it may have moved since it was listed
	if err != nil {
		return nil, err
	}
	return s.open(run, dir)
}

func (s *Store) open(run Run, dir string) (*Journal, error) {
	path := filepath.Join(dir, "journal")
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, corrupt(dir, err)
	}
	size, err := replay(new(Run), data)
	if err != nil {
		return nil, corrupt(dir, err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the journal of run %s: %w", run.ID, err)
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, fmt.Errorf("opening the journal of run %s: %w", run.ID, err)
	}
	return &Journal{store: s, run: run, file: f, size: size}, nil
}

// Run is the run as it stands.
func (j *Journal) Run() Run { return j.run }

// Intend announces a step before it is done. index is the JobModifyIndex that its
// write will be checked against, 0 for none. After an error the step must not be
// done.
func (j *Journal) Intend(step string, index uint64) error {
	return j.append(line{Intent: &Intent{Step: step, Index: index, At: j.store.clock().UTC()}})
}

// Done records a step that was done or failed.
func (j *Journal) Done(step Step) error {
	step.Detail = job.RedactText(step.Detail)
	return j.append(line{Step: &step})
}

// Gate records what a gate said.
func (j *Journal) Gate(g GateResult) error {
	g.Detail = job.RedactText(g.Detail)
	return j.append(line{Gate: &g})
}

// Close ends the run and removes the job's old runs beyond the store's limits, as
// Prune does. After an error the run is still open.
func (j *Journal) Close(result Result, reason string, versionAfter uint64) error {
	end := closing{Ended: j.store.clock().UTC(), Result: result, Reason: job.RedactText(reason), VersionAfter: versionAfter}
	if err := j.append(line{Close: &end}); err != nil {
		return err
	}
	// The run has ended, whatever becomes of the rest: the next Close prunes again.
	_ = j.file.Close()
	_ = j.store.prune(j.run.Job)
	return nil
}

// Abandon lets go of the journal and leaves the run open, as a crash would.
func (j *Journal) Abandon() error { return j.file.Close() }

func (j *Journal) append(l line) error {
	if !j.run.Open {
		return fmt.Errorf("run %s has ended", j.run.ID)
	}
	data, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("writing the journal of run %s: %w", j.run.ID, err)
	}
	data = append(data, '\n')
	if err = j.store.mayWrite(); err == nil {
		_, err = j.file.WriteAt(data, j.size)
	}
	if err == nil {
		err = j.file.Sync()
	}
	if err != nil {
		// What did not become whole must not stand before the next line.
		return fmt.Errorf("writing the journal of run %s: %w", j.run.ID, errors.Join(err, j.file.Truncate(j.size)))
	}
	j.size += int64(len(data))
	l.enter(&j.run)
	return nil
}

// enter adds an event to what is known of a run.
func (l line) enter(run *Run) {
	switch {
	case l.Intent != nil:
		run.Intents = append(run.Intents, *l.Intent)
	case l.Step != nil:
		run.Steps = append(run.Steps, *l.Step)
		for i := range run.Intents {
			run.Intents[i].Done = run.Intents[i].Done || run.Intents[i].Step == l.Step.Name
		}
	case l.Gate != nil:
		run.Gates = append(run.Gates, *l.Gate)
	case l.Close != nil:
		run.Open, run.Ended = false, l.Close.Ended
		run.Result, run.Reason, run.VersionAfter = l.Close.Result, l.Close.Reason, l.Close.VersionAfter
	}
}

// replay enters a journal's events into run and returns the length of its whole
// lines. Bytes after the last newline were being written when the process died:
// nothing had been promised about them yet.
func replay(run *Run, journal []byte) (int64, error) {
	run.Open = true
	end := bytes.LastIndexByte(journal, '\n') + 1
	number := 0
	for text := range bytes.Lines(journal[:end]) {
		number++
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return 0, fmt.Errorf("journal, line %d: %w", number, err)
		}
		l.enter(run)
	}
	return int64(end), nil
}

// create makes the run's folder under a name that does not count yet and gives it
// its own name when everything in it is on disk.
func (s *Store) create(run *Run, prior Prior, next Next) (string, error) {
	jobDir := s.jobDir(run.Job)
	temp := filepath.Join(jobDir, ".new") // one is enough: the job is locked
	if err := os.RemoveAll(temp); err != nil {
		return "", err
	}
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	id, err := s.unusedID(*run)
	if err != nil {
		return "", err
	}
	run.ID = id
	if err := s.fillRun(temp, *run, prior, next); err != nil {
		return "", err
	}
	dir := filepath.Join(jobDir, id)
	if err := os.Rename(temp, dir); err != nil {
		return "", err
	}
	return dir, errors.Join(syncDir(jobDir), syncDir(filepath.Dir(jobDir)), syncDir(s.dir))
}

func (s *Store) fillRun(dir string, run Run, prior Prior, next Next) error {
	for name, content := range map[string]any{"run.json": run, "prior.json": prior, "next.json": next} {
		data, err := json.Marshal(content)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := s.writeSynced(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	if run.BackupName != "" {
		if err := s.writeSynced(filepath.Join(dir, run.BackupName), prior.Bytes, prior.Mode); err != nil {
			return err
		}
	}
	if err := s.writeSynced(filepath.Join(dir, "journal"), nil, 0o600); err != nil {
		return err
	}
	return syncDir(dir)
}

func (s *Store) writeSynced(path string, data []byte, mode fs.FileMode) error {
	if err := s.mayWrite(); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// unusedID is the start to the second, the job's name as far as a file name may
// hold it, and the fraction of the second in four digits, counted up until it is
// free: runs of one job sort by ID as they began.
func (s *Store) unusedID(run Run) (string, error) {
	taken, err := s.takenBy(readable(run.Job.Name))
	if err != nil {
		return "", err
	}
	start := run.Started
	fraction := uint64(start.Nanosecond()) << 16 / uint64(time.Second)
	for {
		id := fmt.Sprintf("%s-%s-%04x", start.Format("20060102-150405"), readable(run.Job.Name), fraction)
		if !taken[id] {
			return id, nil
		}
		if fraction++; fraction > 0xffff {
			start, fraction = start.Add(time.Second), 0
		}
	}
}

// takenBy are the runs of the jobs whose runs' IDs may be the same: there may be very
// many others.
func (s *Store) takenBy(name string) (map[string]bool, error) {
	dirs, err := s.jobDirs(nil)
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, dir := range dirs {
		if other, whole := nameOf(filepath.Base(dir)); whole && readable(other) != name {
			continue
		}
		runs, err := subfolders(dir)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			taken[filepath.Base(run)] = true
		}
	}
	return taken, nil
}

// readable is a job's name without what file names and shells object to, short
// enough to type.
func readable(name string) string {
	keep := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		}
		return '_'
	}
	out := strings.Map(keep, name)
	return out[:min(len(out), 40)]
}

// remove takes the folder's name away first: half a run is not a run.
func remove(dir string) error {
	gone := filepath.Join(filepath.Dir(dir), ".old")
	if err := os.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(dir, gone); err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// Hash is how a Basis and Run.NewFile name bytes: the first 16 bytes of their
// SHA-256, in hex.
func Hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

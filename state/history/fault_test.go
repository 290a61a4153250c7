package history

import (
	"github.com/hashicorp/nomad/api"

	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"nomad-reconcile/state/job"
)

var errDiskFull = errors.New("no space left on device")

// faulty is a journal's file that is full: half of a line still fits.
type faulty struct {
	appender
	full, unsynced bool
}

func (f *faulty) WriteAt(data []byte, at int64) (int, error) {
	if f.full {
		n, _ := f.appender.WriteAt(data[:len(data)/2], at)
		return n, errDiskFull
	}
	return f.appender.WriteAt(data, at)
}

func (f *faulty) Sync() error {
	if f.unsynced {
		return errDiskFull
	}
	return f.appender.Sync()
}

// A line that could not be written whole is an error, and not in the way of the
// next one.
func TestJournalOnFullDisk(t *testing.T) {
	t.Parallel()
	s, err := Open(t.TempDir(), 5, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	j, err := s.Begin(Run{Job: job.ID{Name: "web"}}, Prior{}, Next{})
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{appender: j.file}
	j.file = f
	for _, broken := range []*bool{&f.full, &f.unsynced} {
		*broken = true
		if err := j.Intend("stop", 1); !errors.Is(err, errDiskFull) {
			t.Errorf("intend: %v", err)
		}
		if err := j.Close(Converged, "", 1); !errors.Is(err, errDiskFull) {
			t.Errorf("close: %v", err)
		}
		*broken = false
	}
	if err := j.Intend("write", 1); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Unfinished()
	if err != nil || len(runs) != 1 || len(runs[0].Intents) != 1 || runs[0].Intents[0].Step != "write" {
		t.Errorf("%+v, %v", runs, err)
	}
}

// A run that cannot be recorded leaves nothing.
func TestBeginOnFailure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, 5, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	id := job.ID{Name: "web"}
	unmarshalable := Next{Job: &api.Job{TaskGroups: []*api.TaskGroup{{Tasks: []*api.Task{{Config: map[string]any{"x": func() {}}}}}}}}
	if _, err := s.Begin(Run{Job: id}, Prior{}, unmarshalable); err == nil {
		t.Fatal("recorded")
	}
	entries, err := os.ReadDir(filepath.Join(dir, "jobs", "web"))
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

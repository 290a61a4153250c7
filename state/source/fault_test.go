package source

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// faulty breaks at one step of a write, or meddles with the file there.
type faulty struct {
	at     string
	meddle func()
}

var errDiskFull = errors.New("no space left on device")

func (f faulty) step(name string) error {
	if f.at != name {
		return nil
	}
	if f.meddle != nil {
		f.meddle()
		return nil
	}
	return errDiskFull
}

func (f faulty) Temp(path string) (pending, error) {
	if err := f.step("temp"); err != nil {
		return nil, err
	}
	p, err := disk{}.Temp(path)
	return faultyFile{p, f}, err
}

func (f faulty) SyncDir(dir string) error {
	return errors.Join(f.step("syncdir"), disk{}.SyncDir(dir))
}

type faultyFile struct {
	pending
	f faulty
}

func (p faultyFile) Write(data []byte) (int, error) {
	if err := p.f.step("write"); err != nil {
		n, _ := p.pending.Write(data[:len(data)/2])
		return n, err
	}
	return p.pending.Write(data)
}

func (p faultyFile) Stat() (fs.FileInfo, error) {
	if err := p.f.step("stat"); err != nil {
		return nil, err
	}
	return p.pending.Stat()
}

func (p faultyFile) Chmod(mode fs.FileMode) error {
	return errors.Join(p.f.step("chmod"), p.pending.Chmod(mode))
}

func (p faultyFile) Sync() error { return errors.Join(p.f.step("sync"), p.pending.Sync()) }

func (p faultyFile) CloseAtomicallyReplace() error {
	if err := p.f.step("rename"); err != nil {
		return err
	}
	return p.pending.CloseAtomicallyReplace()
}

func prepared(t *testing.T) (root string, doc Document) {
	t.Helper()
	root = t.TempDir()
	path := filepath.Join(root, "web.hcl")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	doc, err := Read(root, path, "web.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return root, doc
}

func check(t *testing.T, root, want string) {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(filepath.Join(root, "web.hcl"))
	if len(entries) != 1 || string(data) != want {
		t.Errorf("the folder holds %v, the file %q; want it alone with %q", entries, data, want)
	}
}

// A disk that fails at any step before the rename leaves the old bytes alone.
func TestWriteFaults(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"temp", "write", "stat", "chmod", "sync", "rename"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			root, doc := prepared(t)
			if err := (writer{faulty{at: at}}).write(root, doc, []byte("new")); !errors.Is(err, errDiskFull) {
				t.Errorf("%v, want %v", err, errDiskFull)
			}
			check(t, root, "old")
		})
	}
}

// After the rename the new bytes stand; that they may not survive a power cut is
// still an error.
func TestWriteFaultAfterRename(t *testing.T) {
	t.Parallel()
	root, doc := prepared(t)
	if err := (writer{faulty{at: "syncdir"}}).write(root, doc, []byte("new")); !errors.Is(err, errDiskFull) {
		t.Errorf("%v, want %v", err, errDiskFull)
	}
	check(t, root, "new")
}

// Somebody saves the file while we fill ours: theirs wins.
func TestWriteChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"temp", "write", "sync"} {
		root, doc := prepared(t)
		meddle := func() { os.WriteFile(doc.Path, []byte("theirs"), 0o644) }
		if err := (writer{faulty{at, meddle}}).write(root, doc, []byte("new")); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v, want %v", at, err, ErrChanged)
		}
		check(t, root, "theirs")
	}
}
